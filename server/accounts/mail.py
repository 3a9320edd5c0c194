"""What mails say: a plain and an HTML body from one template each, and the same few words in both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from server.domain.mail import Purpose


@dataclass(frozen=True, slots=True)
class _Words:
    """A mail's subject, what stands before and after the code (if it has one), and a page of ours to go to.

    The subject never carries the code: subjects are shown on locked screens and kept in mail servers' logs.
    """

    subject: str
    before: str
    after: str
    page: tuple[str, str] | None = None


_NOT_YOU = "Tell it to nobody: we never ask for it. If this was not you, you need not do anything."
_TAKE_IT_BACK = "If this was not you, somebody knows your password: set a new one at once."

_WORDS = {
    Purpose.REGISTER: _Words("Your code for Dropcast", "Type this code to finish your registration:", _NOT_YOU),
    Purpose.RESET: _Words("Your code for a new password", "Type this code to choose a new password:", _NOT_YOU),
    Purpose.ADDRESS: _Words("Your code for a new address", "Type this code to use this address:", _NOT_YOU),
    Purpose.KNOWN: _Words(
        "You have an account already",
        "Somebody, probably you, asked to use this address at Dropcast. There is an account for it already.",
        "Sign in with it; if you do not know the password any more, choose “Forgot your password?” on the same page."
        " If this was not you, you need not do anything.",
        ("/login", "Sign in"),
    ),
    Purpose.UNKNOWN: _Words(
        "There is no account for this address",
        "Somebody, probably you, asked for a new password at Dropcast. There is no account for this address.",
        "Perhaps you registered with another one. If this was not you, you need not do anything.",
        ("/register", "Register"),
    ),
    Purpose.PASSWORD_CHANGED: _Words(
        "Your password was changed",
        "The password of your Dropcast account was changed, and every other device was signed out.",
        _TAKE_IT_BACK,
        ("/forgot", "Set a new password"),
    ),
    Purpose.MOVED: _Words(
        "Your address was changed",
        "Your Dropcast account now has another e-mail address; this one does not belong to it any more.",
        "If this was not you, somebody knows your password: write to the shop at once.",
    ),
}


class Letters:
    """Writes mails. `sender` is an address; `public_url` is where the shop is, or None: then mails have no links."""

    def __init__(self, sender: str, public_url: str | None) -> None:
        self._sender = sender
        self._public_url = (public_url or "").rstrip("/")
        templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("letters")),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._plain, self._html = templates.get_template("letter.txt"), templates.get_template("letter.html")

    def write(self, mail_id: str, purpose: Purpose, address: str, code: str | None, minutes: int) -> EmailMessage:
        """A mail ready to be sent; the same `mail_id` has the same Message-ID, so that a second copy is seen as one."""
        words = _WORDS[purpose]
        link = (self._public_url + words.page[0], words.page[1]) if words.page and self._public_url else None
        facts = {"words": words, "code": code, "minutes": minutes, "link": link, "shop": self._public_url}
        message = EmailMessage()
        message["From"] = f"Dropcast <{self._sender}>"
        message["To"] = address
        message["Subject"] = words.subject
        message["Date"] = datetime.now(UTC)
        message["Message-ID"] = f"<{mail_id}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday reply, please
        message.set_content(self._plain.render(facts))
        message.add_alternative(self._html.render(facts), subtype="html")
        return message
