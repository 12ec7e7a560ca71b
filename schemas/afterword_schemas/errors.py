"""Every error the project raises on purpose.

    AfterwordError
    ├── InvalidEventError   this one event is wrong: reject it, never retry
    ├── RetryableError      the store or the broker said no for now: retry the whole batch
    │   ├── UnreachableError   nothing answers at the address
    │   └── AccessError   it answers, but the connection or its user is set up wrongly
    ├── RowsRejectedError   the store will never take these rows: find the row
    └── ConfigurationError  a person must change something: stop and say what

The tree follows what the catcher does next, not where the error came from. No message quotes a
value of the user's: it may be private. A path does show the event's keys.
"""

from enum import StrEnum


class RejectCode(StrEnum):
    """Why an event was rejected: the closed list that metrics and dashboards group by."""

    EMPTY_MESSAGE = "empty_message"
    """The message has no payload at all."""

    TOO_LARGE = "too_large"
    """The event is longer than `limits.MAX_EVENT_BYTES`, or than the topic takes."""

    INVALID_UTF8 = "invalid_utf8"
    """The bytes are no UTF-8 text."""

    INVALID_JSON = "invalid_json"
    """The text is not valid JSON."""

    INVALID_UNICODE = "invalid_unicode"
    """A string holds half of a surrogate pair, which no UTF-8 text can hold."""

    NOT_AN_OBJECT = "not_an_object"
    """The JSON is not an object."""

    DUPLICATE_KEY = "duplicate_key"
    """An object names the same key twice, so one of the two values would vanish."""

    UNKNOWN_FIELD = "unknown_field"
    """The event has no such field; most likely a typo."""

    MISSING_FIELD = "missing_field"
    """A field that the event must have is absent."""

    WRONG_TYPE = "wrong_type"
    """The value is of another JSON type than the field."""

    INVALID_FORMAT = "invalid_format"
    """The type is right but the text is not of the field's form."""

    OUT_OF_RANGE = "out_of_range"
    """A number, date or text length is outside its limits."""

    NOT_FINITE = "not_finite"
    """NaN or an infinity, which no average survives."""

    TOO_DEEP = "too_deep"
    """More nested objects or arrays than `limits` allow."""

    TOO_MANY_LEAVES = "too_many_leaves"
    """More values in one event than `limits.MAX_LEAVES`."""

    PATH_TOO_LONG = "path_too_long"
    """A dotted path longer than `limits.MAX_PATH_BYTES`."""

    EMPTY_EVENT = "empty_event"
    """The event says nothing: no value, and no leaf in feedback or metrics."""

    NO_TARGET = "no_target"
    """A `set` names neither trace nor session nor span."""

    NOT_ALLOWED = "not_allowed"
    """A `clear` carries content, which could only be ignored."""

    WRONG_KEY = "wrong_key"
    """The message of a patch has another key than its `feedback_id`. Only the key brings the events
    of an id to one partition, and out of order a patch would be lost."""

    OLDER_THAN_STORED = "older_than_stored"
    """The message of a patch or a clear is older than what is stored, so nothing of it could be kept."""

    STORE_REFUSED = "store_refused"
    """The event is valid, but ClickHouse refused its row, or Kafka its message."""

    INTERNAL_ERROR = "internal_error"
    """Judging the event failed by a fault of Afterword's own. Please report it; replay it then."""


class AfterwordError(Exception):
    """The root: catch it to catch everything that Afterword raises on purpose."""


class InvalidEventError(AfterwordError):
    """One event cannot become a row, now or ever: reject it, never retry.

    Attributes:
        code: The reason, from the closed list that metrics and dashboards group by.
        path: Where in the event, as `$.feedback.tags[3]`; `$` is the event itself.
        detail: A sentence for a person, without the event's own values.
    """

    def __init__(self, code: RejectCode, path: str, detail: str) -> None:
        super().__init__(code, path, detail)  # all three: it must survive pickling
        self.code, self.path, self.detail = code, path, detail

    def __str__(self) -> str:
        return f"{self.detail} [{self.code} at {self.path}]"


class RetryableError(AfterwordError):
    """The store or the broker could not do it now: retry, for ever if need be.

    Attributes:
        detail: What it said, in one line.
        store_code: ClickHouse's number for the reason; None where it gave none, or did not answer.
    """

    def __init__(self, detail: str, store_code: int | None = None) -> None:
        super().__init__(detail, store_code)  # both, as above
        self.detail, self.store_code = detail, store_code

    def __str__(self) -> str:
        return self.detail


class UnreachableError(RetryableError):
    """Nothing answers there, or not in time: it is down, hangs, or the address is another's.

    Attributes:
        service: `Kafka` or `ClickHouse`.
        timed_out: Whether it was waited for; otherwise the connection failed at once.
    """

    def __init__(self, service: str, detail: str, *, timed_out: bool = False) -> None:
        super().__init__(detail)
        self.args = service, detail  # what it is made of again after pickling
        self.service, self.timed_out = service, timed_out


class AccessError(RetryableError):
    """It answers, but the connection is set up wrongly: TLS, a login, a missing right.

    A command stops at it. A worker goes on trying, because what is wrong may be mended on the server.

    Attributes:
        next_step: What to do about it: a setting, a grant.
    """

    def __init__(self, detail: str, next_step: str = "", store_code: int | None = None) -> None:
        super().__init__(detail, store_code)
        self.args = detail, next_step, store_code  # as above
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.detail} {self.next_step}".strip()


class RowsRejectedError(AfterwordError):
    """The store read the rows and will never take them: another try would end alike.

    Attributes:
        detail: The reason by name, without the values of a row.
        store_code: ClickHouse's number for the reason.
    """

    def __init__(self, detail: str, store_code: int | None = None) -> None:
        super().__init__(detail, store_code)  # both, as above
        self.detail, self.store_code = detail, store_code

    def __str__(self) -> str:
        return self.detail


class ConfigurationError(AfterwordError):
    """A person must change something before it can go on: stop and say what.

    Attributes:
        detail: What is wrong.
        next_step: What to do about it: a command, a setting, a page to read.
    """

    def __init__(self, detail: str, next_step: str = "") -> None:
        super().__init__(detail, next_step)
        self.detail, self.next_step = detail, next_step

    def __str__(self) -> str:
        return f"{self.detail} {self.next_step}".strip()
