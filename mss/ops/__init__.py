"""What an operator's machines ask: are you alive, are you ready, how are you doing?"""
