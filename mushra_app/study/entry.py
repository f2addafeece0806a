"""Entry rules: on which devices a study may be taken, from the keys `phones`, `sample_rates` and `least_heard`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earmark.mushra_app.messages import marked

LEAST_HEARD_SECONDS = 1.0
LOWEST_RATE, HIGHEST_RATE = 3000, 768_000  # Hz; limits of Web Audio in today's browsers
NO_PHONES = marked("This listening test cannot be taken on a phone. Please open its address on a computer or tablet.")
WRONG_RATE = marked(
    "This listening test needs a sound output that runs at %(rates)s Hz; yours runs at %(rate)s Hz. Change the rate in "
    "the sound settings of your device, then open the address of this test again."
)


@dataclass(frozen=True)
class Entry:
    """A study's requirements of a listener's device.

    Args:
        phones: whether the test can be taken on phones.
        sample_rates: of the sound output, in Hz; empty for any.
        least_heard: seconds below which a stimulus counts as not heard, for a flag; it refuses nobody.
    """

    phones: bool = True
    sample_rates: tuple[int, ...] = ()
    least_heard: float = LEAST_HEARD_SECONDS

    def refusal(self, device: Mapping[str, Any]) -> tuple[str, dict[str, str]] | None:
        """The reason why this device is refused, marked for translation, and the values in it; None if it may enter.

        Args:
            device: from mushra_app/web/device.py. A rate that is unknown is not among those asked for.
        """
        if not self.phones and device.get("type") == "phone":
            return NO_PHONES, {}
        rate = device.get("sample_rate")
        if self.sample_rates and rate not in self.sample_rates:
            rates = " / ".join(str(one) for one in self.sample_rates)
            return WRONG_RATE, {"rates": rates, "rate": "?" if rate is None else str(rate)}
        return None


def read_entry(settings: Mapping[str, Any]) -> Entry:
    """Read the entry rules of session.toml.

    Raises:
        ValueError: if one is wrong; says which, and what is allowed.
    """
    phones, rates = settings.get("phones", True), settings.get("sample_rates", [])
    least = settings.get("least_heard", LEAST_HEARD_SECONDS)
    if not isinstance(phones, bool):
        raise ValueError("phones must be true or false")
    is_list = isinstance(rates, list) and all(isinstance(one, int) and not isinstance(one, bool) for one in rates)
    if not is_list or not all(LOWEST_RATE <= one <= HIGHEST_RATE for one in rates):
        raise ValueError("sample_rates must be a list of rates in Hz, such as [44100, 48000]")
    if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least < 3600:
        raise ValueError("least_heard must be a number of seconds, 0 or more")
    return Entry(phones, tuple(rates), float(least))
