"""The topics that clients may subscribe to: those that are shipped, and those that the settings add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.model import Topic, Trigger

PREFIX: Final = "urn:hutong:topic:"

_READY = "status=final,amended,corrected,appended"
_REFERRAL = "category=http://snomed.info/sct|3457005"
_ORDERS = ("patient", "identifier", "code", "category", "status", "requester", "performer", "encounter")
_VISITS = ("patient", "identifier", "status", "class", "type", "service-provider", "location")
_ALWAYS = ("create", "update", "delete")


def _topic(name: str, title: str, filters: tuple[str, ...], *triggers: Trigger) -> Topic:
    return Topic(url=f"{PREFIX}{name}", title=title, triggers=triggers, filters=("_id", *filters))


SHIPPED: Final = (
    _topic(
        "report-available", "A report is final, or was corrected 报告已发布",
        ("patient", "identifier", "code", "category", "status", "performer", "based-on", "encounter"),
        Trigger(resource="DiagnosticReport", current=_READY),
    ),
    _topic(
        "result-available", "A result is final, or was corrected 结果已发布",
        ("patient", "identifier", "code", "category", "status", "performer", "based-on", "encounter"),
        Trigger(resource="Observation", current="status=final,amended,corrected"),
    ),
    _topic(
        "document-available", "A document is there, or was replaced 文书已归档",
        ("patient", "identifier", "type", "category", "status", "author"),
        Trigger(resource="DocumentReference", current="status=current"),
    ),
    _topic(
        "order-changed", "An order was placed, changed or withdrawn 医嘱变更", _ORDERS,
        Trigger(resource="ServiceRequest", on=_ALWAYS),
    ),
    _topic(
        "task-changed", "A task was made, changed its state or was taken away 任务变更",
        ("patient", "identifier", "status", "business-status", "owner", "requester", "code", "focus", "based-on"),
        Trigger(resource="Task", on=_ALWAYS),
    ),
    _topic(
        "referral-changed", "A referral was sent, changed or withdrawn 转诊变更", _ORDERS,
        Trigger(resource="ServiceRequest", current=_REFERRAL),
    ),
    _topic(
        "encounter-admit", "A visit has begun 入院、就诊开始", _VISITS,
        Trigger(resource="Encounter", previous="status:not=in-progress", current="status=in-progress"),
    ),
    _topic(
        "encounter-transfer", "A visit goes on at another place 转科、转床", _VISITS,
        Trigger(resource="Encounter", on=("update",), current="status=in-progress", changed=("location",)),
    ),
    _topic(
        "encounter-discharge", "A visit has ended 出院、就诊结束", _VISITS,
        Trigger(resource="Encounter", previous="status:not=finished", current="status=finished"),
    ),
    _topic(
        "patient-merged", "A patient lives on under another number 患者合并", ("identifier", "link", "organization"),
        Trigger(resource="Patient", current="active=false&link:missing=false", changed=("link",)),
    ),
    _topic(
        "patient-changed", "A patient is new, changed or gone 患者信息变更", ("identifier", "organization", "gender"),
        Trigger(resource="Patient", on=_ALWAYS),
    ),
    _topic(
        "appointment-changed", "An appointment was booked, changed or cancelled 预约变更",
        ("patient", "identifier", "status", "actor", "date", "service-type"),
        Trigger(resource="Appointment", on=_ALWAYS),
    ),
)  # fmt: skip


def known(own: Iterable[Topic] = ()) -> Mapping[str, Topic]:
    """All topics by their canonical URLs; one of the settings takes the place of a shipped one."""
    return {topic.url: topic for topic in (*SHIPPED, *own)}
