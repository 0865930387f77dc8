"""What a newcomer does in the browser, one act for each method. Chromium, real sockets, the demo's pages."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import APIResponse, BrowserContext, Page, expect

from tests.kit.demo import DOMINIQUE, Demo


class Newcomer:
    """Somebody at the patient's pages, with a camera."""

    def __init__(self, demo: Demo, context: BrowserContext, pictures: Path) -> None:
        self.demo = demo
        self.context = context
        self.page: Page = context.pages[0] if context.pages else context.new_page()
        self._pictures = pictures
        self._url: str = demo.told["operator"]["web"]["url"]

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self._pictures / f"{name}.png", full_page=True)

    def go(self, path: str) -> None:
        answer = self.page.goto(f"{self._url}{path}")
        assert answer is not None
        assert answer.status == 200, (path, answer.status)

    def sign_in(self, login: str = DOMINIQUE) -> None:
        """Login, password, then the one-time code of the phone."""
        patient = self.demo.patient(login)
        self.go("/login")
        self.picture("1-sign-in")
        self.page.get_by_label("Identifiant").fill(login)
        self.page.get_by_label("Mot de passe").fill(patient["password"])
        self.page.get_by_role("button", name="Continuer").click()
        code = self.demo.authenticator.code(patient["totp_secret"])
        self.page.get_by_label("Code à six chiffres").fill(code)
        self.page.get_by_role("button", name="Se connecter").click()
        self.page.wait_for_url("**/inbox")

    def sees(self, text: str, *, times: int | None = None) -> None:
        found = self.page.get_by_text(text)
        if times is None:
            expect(found.first).to_be_visible()
        else:
            expect(found).to_have_count(times)

    def opens(self, name: str) -> None:
        """Follow the one link of that name."""
        self.page.get_by_role("link", name=name).first.click()
        self.page.wait_for_load_state()

    def fetch(self, path: str) -> APIResponse:
        """What the browser gets behind a link, with its cookies."""
        return self.page.request.get(f"{self._url}{path}")

    def answers(self, text: str, photo: Path) -> None:
        self.page.get_by_label("Votre message").fill(text)
        self.page.get_by_label("Joindre des fichiers").set_input_files(photo)
        self.picture("5-answer")
        self.page.get_by_role("button", name="Envoyer ma réponse").click()
        self.page.wait_for_load_state()
