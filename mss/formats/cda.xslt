<?xml version="1.0" encoding="UTF-8"?>
<!--
  Turns a CDA R2 body into an HTML fragment: sections, and the narrative block of HL7 CDA R2 §4.3.5.

  Only elements and attributes written in this sheet come out; text is always escaped; no style, no script,
  no address outside the page. Pictures become data: images when their first bytes are PNG, JPEG or GIF,
  whatever type they declare. cdarender.py passes the header as parameters, since dates need a calendar.
-->
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:h="urn:hl7-org:v3"
                exclude-result-prefixes="h">
  <xsl:output method="html" encoding="UTF-8" indent="no"/>
  <xsl:strip-space elements="h:structuredBody h:component h:section h:table h:thead h:tbody h:tfoot h:tr h:list"/>

  <xsl:param name="title"/>
  <xsl:param name="patient"/>
  <xsl:param name="born"/>
  <xsl:param name="ins"/>
  <xsl:param name="author"/>
  <xsl:param name="organisation"/>
  <xsl:param name="date"/>
  <xsl:param name="version"/>
  <xsl:param name="body"/>
  <!-- 1.5 MB of picture in base64; a page for a phone needs no more -->
  <xsl:param name="image_chars_max" select="2000000"/>
  <xsl:variable name="base64">ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=</xsl:variable>

  <xsl:key name="media" match="h:observationMedia[@ID]" use="@ID"/>
  <xsl:key name="shown" match="h:renderMultiMedia" use="@referencedObject"/>
  <!-- asked once: a key over links would copy all links of one target for each mark -->
  <xsl:variable name="has_jumps" select="boolean(//h:linkHtml[starts-with(@href, '#')] | //h:footnoteRef)"/>

  <xsl:template match="/h:ClinicalDocument">
    <article class="cda">
      <header class="cda-header">
        <h2><xsl:value-of select="$title"/></h2>
        <dl>
          <xsl:call-template name="fact"><xsl:with-param name="label">Patient</xsl:with-param><xsl:with-param name="value" select="$patient"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">Naissance</xsl:with-param><xsl:with-param name="value" select="$born"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">INS</xsl:with-param><xsl:with-param name="value" select="$ins"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">Auteur</xsl:with-param><xsl:with-param name="value" select="$author"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">Structure</xsl:with-param><xsl:with-param name="value" select="$organisation"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">Date du document</xsl:with-param><xsl:with-param name="value" select="$date"/></xsl:call-template>
          <xsl:call-template name="fact"><xsl:with-param name="label">Version</xsl:with-param><xsl:with-param name="value" select="$version"/></xsl:call-template>
        </dl>
      </header>
      <xsl:apply-templates select="h:component/h:nonXMLBody/h:text"/>
      <xsl:apply-templates select="h:component/h:structuredBody/h:component/h:section"/>
    </article>
  </xsl:template>

  <xsl:template name="fact">
    <xsl:param name="label"/>
    <xsl:param name="value"/>
    <xsl:if test="$value != ''">
      <div><dt><xsl:value-of select="$label"/></dt><dd><xsl:value-of select="$value"/></dd></div>
    </xsl:if>
  </xsl:template>

  <!-- Level 1: a file with a header -->
  <xsl:template match="h:nonXMLBody/h:text">
    <xsl:choose>
      <xsl:when test="$body != ''"><div class="cda-plain"><xsl:value-of select="$body"/></div></xsl:when>
      <xsl:otherwise><xsl:call-template name="file"><xsl:with-param name="holder" select="."/></xsl:call-template></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- Level 3: sections; those that say nothing to people are left out -->
  <xsl:template match="h:section">
    <xsl:if test="h:title or h:text or .//h:section">
      <section class="cda-section">
        <xsl:apply-templates select="h:title"/>
        <xsl:apply-templates select="h:text"/>
        <xsl:apply-templates select="h:component/h:section"/>
      </section>
    </xsl:if>
  </xsl:template>

  <xsl:template match="h:section/h:title">
    <xsl:variable name="depth" select="count(ancestor::h:section)"/>
    <xsl:choose>
      <xsl:when test="normalize-space(.) = ''"/>
      <xsl:when test="$depth = 1"><h3><xsl:value-of select="."/></h3></xsl:when>
      <xsl:when test="$depth = 2"><h4><xsl:value-of select="."/></h4></xsl:when>
      <xsl:when test="$depth = 3"><h5><xsl:value-of select="."/></h5></xsl:when>
      <xsl:otherwise><h6><xsl:value-of select="."/></h6></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="h:section/h:text"><div class="cda-text"><xsl:apply-templates/></div></xsl:template>

  <!-- Narrative block -->
  <xsl:template match="h:paragraph">
    <xsl:choose>
      <xsl:when test=".//h:renderMultiMedia or .//h:footnote or h:caption"><div class="cda-paragraph"><xsl:call-template name="styled"/></div></xsl:when>
      <xsl:otherwise><p><xsl:call-template name="styled"/></p></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <xsl:template match="h:content">
    <xsl:choose>
      <xsl:when test="@styleCode or ($has_jumps and @ID)"><span><xsl:call-template name="anchor"/><xsl:call-template name="styled"/></span></xsl:when>
      <xsl:otherwise><xsl:apply-templates/></xsl:otherwise>
    </xsl:choose>
  </xsl:template>
  <xsl:template match="h:content[@revised = 'delete']"><del><xsl:call-template name="styled"/></del></xsl:template>
  <xsl:template match="h:content[@revised = 'insert']"><ins><xsl:call-template name="styled"/></ins></xsl:template>
  <xsl:template match="h:br"><br/></xsl:template>
  <xsl:template match="h:sub"><sub><xsl:apply-templates/></sub></xsl:template>
  <xsl:template match="h:sup"><sup><xsl:apply-templates/></sup></xsl:template>

  <!-- Styles are classes, from a closed list -->
  <xsl:template name="style">
    <xsl:variable name="code" select="concat(' ', translate(@styleCode, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'), ' ')"/>
    <xsl:variable name="side" select="translate(@align, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"/>
    <xsl:variable name="classes">
      <xsl:if test="contains($code, ' bold ') or contains($code, ' bolditalics ')"> cda-bold</xsl:if>
      <xsl:if test="contains($code, ' italics ') or contains($code, ' bolditalics ') or contains($code, ' emphasis ')"> cda-italic</xsl:if>
      <xsl:if test="contains($code, ' underline ')"> cda-underline</xsl:if>
      <xsl:if test="contains($code, ' xabnormal ') or contains($code, ' abnormal ')"> cda-abnormal</xsl:if>
      <xsl:if test="$side = 'right' or $side = 'center'"> cda-<xsl:value-of select="$side"/></xsl:if>
    </xsl:variable>
    <xsl:if test="normalize-space($classes) != ''"><xsl:attribute name="class"><xsl:value-of select="normalize-space($classes)"/></xsl:attribute></xsl:if>
  </xsl:template>

  <xsl:template name="styled"><xsl:call-template name="style"/><xsl:apply-templates/></xsl:template>

  <!-- Ids only when the document has links into itself, prefixed so that it meets no id of the page -->
  <xsl:template name="anchor">
    <xsl:if test="@ID and $has_jumps"><xsl:attribute name="id"><xsl:value-of select="concat('cda-', @ID)"/></xsl:attribute></xsl:if>
  </xsl:template>

  <xsl:template match="h:list">
    <xsl:apply-templates select="h:caption"/>
    <xsl:choose>
      <xsl:when test="@listType = 'ordered'"><ol><xsl:apply-templates select="h:item"/></ol></xsl:when>
      <xsl:otherwise><ul><xsl:apply-templates select="h:item"/></ul></xsl:otherwise>
    </xsl:choose>
  </xsl:template>
  <xsl:template match="h:item"><li><xsl:call-template name="anchor"/><xsl:call-template name="styled"/></li></xsl:template>
  <xsl:template match="h:caption"><p class="cda-caption"><xsl:apply-templates/></p></xsl:template>

  <!-- A table scrolls inside its frame on a narrow screen -->
  <xsl:template match="h:table">
    <div class="cda-table">
      <table>
        <xsl:if test="h:caption"><caption><xsl:apply-templates select="h:caption/node()"/></caption></xsl:if>
        <xsl:apply-templates select="h:thead[h:tr]"/>
        <xsl:apply-templates select="h:tbody | h:tr"/>
        <xsl:apply-templates select="h:tfoot[h:tr]"/>
      </table>
    </div>
  </xsl:template>
  <xsl:template match="h:thead"><thead><xsl:apply-templates select="h:tr"/></thead></xsl:template>
  <xsl:template match="h:tbody"><tbody><xsl:apply-templates select="h:tr"/></tbody></xsl:template>
  <xsl:template match="h:tfoot"><tfoot><xsl:apply-templates select="h:tr"/></tfoot></xsl:template>
  <xsl:template match="h:tr"><tr><xsl:call-template name="style"/><xsl:apply-templates select="h:th | h:td"/></tr></xsl:template>
  <xsl:template match="h:th">
    <th><xsl:if test="ancestor::h:thead"><xsl:attribute name="scope">col</xsl:attribute></xsl:if><xsl:call-template name="cell"/></th>
  </xsl:template>
  <xsl:template match="h:td"><td><xsl:call-template name="cell"/></td></xsl:template>
  <xsl:template name="cell">
    <xsl:call-template name="span"><xsl:with-param name="name">colspan</xsl:with-param><xsl:with-param name="count" select="number(@colspan)"/></xsl:call-template>
    <xsl:call-template name="span"><xsl:with-param name="name">rowspan</xsl:with-param><xsl:with-param name="count" select="number(@rowspan)"/></xsl:call-template>
    <xsl:call-template name="anchor"/>
    <xsl:call-template name="styled"/>
  </xsl:template>
  <xsl:template name="span">
    <xsl:param name="name"/>
    <xsl:param name="count"/>
    <!-- browsers stop at 1000 columns too -->
    <xsl:if test="$count &gt;= 2 and $count &lt;= 1000"><xsl:attribute name="{$name}"><xsl:value-of select="floor($count)"/></xsl:attribute></xsl:if>
  </xsl:template>

  <!-- Links lead nowhere but inside the document: the reader's address is nobody's business -->
  <xsl:template match="h:linkHtml"><span class="cda-link"><xsl:apply-templates/></span></xsl:template>
  <xsl:template match="h:linkHtml[starts-with(@href, '#')]"><a href="#cda-{substring(@href, 2)}"><xsl:apply-templates/></a></xsl:template>
  <xsl:template match="h:footnote"><small class="cda-footnote"><xsl:call-template name="anchor"/><xsl:apply-templates/></small></xsl:template>
  <xsl:template match="h:footnoteRef"><a href="#cda-{@IDREF}"><sup>*</sup></a></xsl:template>

  <!-- Each picture once, so that a document cannot swell by showing one a thousand times -->
  <xsl:template match="h:renderMultiMedia">
    <xsl:variable name="media" select="key('media', @referencedObject)[1]"/>
    <xsl:choose>
      <xsl:when test="not($media)"/>
      <xsl:when test="generate-id(.) = generate-id(key('shown', @referencedObject)[1])">
        <xsl:call-template name="file"><xsl:with-param name="holder" select="$media/h:value[1]"/></xsl:call-template>
      </xsl:when>
      <xsl:otherwise><span class="cda-note">[Image ou fichier déjà affiché plus haut]</span></xsl:otherwise>
    </xsl:choose>
    <xsl:apply-templates select="h:caption"/>
  </xsl:template>

  <xsl:template name="file">
    <xsl:param name="holder"/>
    <xsl:variable name="head" select="translate(substring($holder, 1, 80), ' &#9;&#10;&#13;', '')"/>
    <xsl:variable name="type">
      <xsl:choose>
        <xsl:when test="not($holder/@representation = 'B64') or string-length($holder) &gt; $image_chars_max"/>
        <xsl:when test="starts-with($head, 'iVBORw0KGgo')">image/png</xsl:when>
        <xsl:when test="starts-with($head, '/9j/')">image/jpeg</xsl:when>
        <xsl:when test="starts-with($head, 'R0lGOD')">image/gif</xsl:when>
      </xsl:choose>
    </xsl:variable>
    <xsl:variable name="data">
      <xsl:if test="$type != ''"><xsl:value-of select="translate($holder, ' &#9;&#10;&#13;', '')"/></xsl:if>
    </xsl:variable>
    <xsl:choose>
      <xsl:when test="$type != '' and translate($data, $base64, '') = ''"><img class="cda-image" alt="Image du document" src="data:{$type};base64,{$data}"/></xsl:when>
      <xsl:when test="$holder/@mediaType = 'application/pdf'"><span class="cda-note">[Fichier PDF joint au document]</span></xsl:when>
      <xsl:otherwise><span class="cda-note">[Fichier joint au document, non affiché ici]</span></xsl:otherwise>
    </xsl:choose>
  </xsl:template>

  <!-- Whatever else the narrative holds: its text, never its markup -->
  <xsl:template match="h:script | h:style"/>
  <xsl:template match="*"><xsl:apply-templates/></xsl:template>
</xsl:stylesheet>
