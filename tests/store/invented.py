"""Random small records and random searches of them: values come from few, so that searches hit and miss."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from tests.store.oracle import COMPOSITES, GENDER, TARGETS, TYPES

Resource = dict[str, Any]
SYSTEMS = ["urn:a", "urn:b", ""]
CODES = ["A", "B", "c|d", "e,f"]
TEXTS = ["Blood", "blood pressure", "血压", "Größe", "血 糖"]
FAMILIES = ["张", "曾", "Müller", "O'Neil", "买提·江"]
GIVEN = ["伟", "小明", "Ana", "Ａｎａ"]
CITIES = ["北京", "Zürich", "São Paulo", "e\u0301vry"]
DAYS = ["2026", "2026-02", "2026-02-28", "2026-03-01", "2025-12-31"]
TIMES = [
    "2026-02-28T23:59:59+08:00",
    "2026-02-28T16:00:00Z",
    "2026-03-01T00:00:00.5+08:00",
    "2026-02-28T20:00:00-05:00",
]
NUMBERS = ["5", "5.0", "5.4", "5.44", "100", "99.5", "100.5", "-3", "0.1"]
URLS = ["http://x.org/a", "http://x.org/a/b", "http://x.org/a/b|2", "http://x.org/ab", "urn:oid:1.2"]
PREFIXES = ["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb", "ap"]
STATUSES = {
    "Observation": ["final", "preliminary", "amended"],
    "DiagnosticReport": ["final", "registered", "partial"],
    "Encounter": ["finished", "in-progress", "planned"],
    "MedicationRequest": ["active", "completed"],
    "DocumentReference": ["current", "superseded"],
    "RiskAssessment": ["final"],
}


class Inventor:
    """One random record and searches of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ids: dict[str, list[str]] = {}

    def maybe(self, made: Resource, name: str, value: Any, odds: float = 0.6) -> None:
        if self.chance.random() < odds:
            made[name] = value

    def pick(self, values: list[Any]) -> Any:
        return self.chance.choice(values)

    # ------------------------------------------------------------------------------------------ resources

    def resources(self) -> list[Resource]:
        kinds = [kind for kind in TYPES if kind != "Medication"]
        wanted = [*kinds, *(self.chance.choices(kinds, weights=[3, 1, 2, 2, 6, 2, 2, 2, 1], k=14))]
        for number, kind in enumerate(wanted):
            self.ids.setdefault(kind, []).append(f"i{number}")
        made = []
        for number, kind in enumerate(wanted):
            resource = {"resourceType": kind, "id": f"i{number}", **getattr(self, kind.lower())()}
            self.maybe(resource, "identifier", [self.identifier() for _ in range(self.chance.randint(1, 2))], 0.5)
            meta: Resource = {}
            self.maybe(meta, "tag", [self.coding()], 0.3)
            self.maybe(meta, "profile", [self.pick(URLS)], 0.3)
            if meta:
                resource["meta"] = meta
            self.maybe(resource, "extension", [{"url": "http://x.org/e", "valueCode": "A"}], 0.2)
            made.append(resource)
        return made

    def coding(self) -> Resource:
        made: Resource = {}
        system = self.pick(SYSTEMS)
        if system:
            made["system"] = system
        self.maybe(made, "code", self.pick(CODES), 0.9)
        self.maybe(made, "display", self.pick(TEXTS), 0.5)
        return made or {"code": "A"}

    def concept(self) -> Resource:
        made: Resource = {}
        self.maybe(made, "coding", [self.coding() for _ in range(self.chance.randint(1, 2))], 0.85)
        self.maybe(made, "text", self.pick(TEXTS), 0.4)
        return made or {"text": "血压"}

    def identifier(self) -> Resource:
        made: Resource = {"value": self.pick(["1", "2", "x|y"])}
        self.maybe(made, "system", self.pick(SYSTEMS[:2]), 0.7)
        self.maybe(made, "type", {"coding": [{"system": "urn:t", "code": "MR"}], "text": "Record"}, 0.4)
        return made

    def to(self, *kinds: str) -> Resource:
        kind = self.pick([each for each in kinds if each in self.ids])
        if self.chance.random() < 0.12:
            return {"display": "somebody"}
        if self.chance.random() < 0.15:
            return {"type": kind, "identifier": self.identifier()}
        return {"reference": f"{kind}/{self.pick(self.ids[kind])}"}

    def period(self) -> Resource:
        made: Resource = {}
        self.maybe(made, "start", self.pick(["2025-12-31", "2026-02-01", "2026-02-28T10:00:00+08:00"]), 0.7)
        self.maybe(made, "end", self.pick(["2026-02-28", "2026-03", "2026-03-01T10:00:00Z"]), 0.6)
        return made or {"start": "2026"}

    def quantity(self) -> Resource:
        made: Resource = {}
        self.maybe(made, "value", Decimal(self.pick(NUMBERS)), 0.95)
        self.maybe(made, "unit", self.pick(["mmHg", "克"]), 0.6)
        if self.chance.random() < 0.6:
            made |= {"system": "urn:ucum", "code": self.pick(["mm[Hg]", "g"])}
        self.maybe(made, "comparator", self.pick(["<", "<=", ">", ">="]), 0.15)
        return made or {"value": Decimal(5)}

    def patient(self) -> Resource:
        made: Resource = {}
        name: Resource = {}
        self.maybe(name, "family", self.pick(FAMILIES), 0.8)
        self.maybe(name, "given", self.chance.sample(GIVEN, self.chance.randint(1, 2)), 0.7)
        self.maybe(name, "text", self.pick(["张伟", "曾小明", "Ana Müller"]), 0.4)
        self.maybe(made, "name", [name or {"text": "张伟"}], 0.9)
        self.maybe(made, "active", self.pick([True, False]))
        self.maybe(made, "gender", self.pick(["male", "female"]))
        self.maybe(made, "birthDate", self.pick(DAYS))
        self.maybe(made, "address", [{"city": self.pick(CITIES)}])
        self.maybe(made, "telecom", [{"system": self.pick(["phone", "email"]), "value": self.pick(["1", "2"])}])
        self.maybe(made, "communication", [{"language": self.concept()}], 0.3)
        self.maybe(made, "managingOrganization", self.to("Organization"))
        return made

    def group(self) -> Resource:
        return {"type": "person", "actual": self.pick([True, False])}

    def organization(self) -> Resource:
        made: Resource = {"name": self.pick(["县医院", "County Hospital", "Ｃounty"])}
        self.maybe(made, "alias", [self.pick(CITIES)], 0.3)
        self.maybe(made, "active", self.pick([True, False]))
        self.maybe(made, "partOf", self.to("Organization"), 0.5)
        return made

    def encounter(self) -> Resource:
        made: Resource = {"status": self.pick(STATUSES["Encounter"]), "class": self.coding()}
        self.maybe(made, "subject", self.to("Patient"), 0.8)
        self.maybe(made, "period", self.period())
        length = {"value": Decimal(self.pick(NUMBERS)), "system": "http://unitsofmeasure.org", "code": "min"}
        self.maybe(made, "length", length, 0.3)
        self.maybe(made, "serviceProvider", self.to("Organization"))
        return made

    def observation(self) -> Resource:
        made: Resource = {"status": self.pick(STATUSES["Observation"]), "code": self.concept()}
        self.maybe(made, "category", [self.concept()], 0.5)
        self.maybe(made, "subject", self.to("Patient", "Patient", "Group"), 0.9)
        self.maybe(made, "encounter", self.to("Encounter"))
        self.maybe(made, "performer", [self.to("Organization", "Patient")], 0.5)
        self.maybe(made, "hasMember", [self.to("Observation")], 0.3)
        made |= self.pick(
            [
                {},
                {"effectiveDateTime": self.pick(DAYS + TIMES)},
                {"effectivePeriod": self.period()},
                {"effectiveTiming": {"event": self.chance.sample(TIMES, 2)}},
            ]
        )
        made |= self.value()
        parts = [{"code": self.concept(), **self.value()} for _ in range(self.chance.randint(1, 2))]
        if self.chance.random() < 0.5:
            made["component"] = parts
            if made["code"].get("coding"):
                made = {name: each for name, each in made.items() if not name.startswith("value")}  # obs-7
        return made

    def value(self) -> Resource:
        return self.pick(
            [
                {},
                {"valueQuantity": self.quantity()},
                {"valueQuantity": self.quantity()},
                {"valueCodeableConcept": self.concept()},
                {"valueString": self.pick(TEXTS)},
                {"valueDateTime": self.pick(DAYS + TIMES)},
                {"valuePeriod": self.period()},
            ]
        )

    def diagnosticreport(self) -> Resource:
        made: Resource = {"status": self.pick(STATUSES["DiagnosticReport"]), "code": self.concept()}
        self.maybe(made, "subject", self.to("Patient", "Patient", "Group"), 0.9)
        self.maybe(made, "result", [self.to("Observation") for _ in range(2)])
        self.maybe(made, "issued", self.pick(TIMES))
        made |= self.pick([{}, {"effectiveDateTime": self.pick(DAYS)}, {"effectivePeriod": self.period()}])
        return made

    def medicationrequest(self) -> Resource:
        made: Resource = {"status": self.pick(STATUSES["MedicationRequest"]), "intent": "order"}
        made["subject"] = self.to("Patient")
        if self.chance.random() < 0.5:
            medication = {"resourceType": "Medication", "id": "m", "code": self.concept()}
            made |= {"medicationReference": {"reference": "#m"}, "contained": [medication]}
        else:
            made["medicationCodeableConcept"] = self.concept()
        self.maybe(made, "authoredOn", self.pick(DAYS + TIMES))
        events = self.chance.sample(DAYS[2:] + TIMES, 2)
        self.maybe(made, "dosageInstruction", [{"timing": {"event": events}}], 0.4)
        return made

    def documentreference(self) -> Resource:
        made: Resource = {
            "status": self.pick(STATUSES["DocumentReference"]),
            "content": [{"attachment": {"url": self.pick(URLS[:2] + URLS[3:])}}],
        }
        self.maybe(made, "subject", self.to("Patient"))
        related = [
            {"code": self.pick(["replaces", "appends"]), "target": self.to("DocumentReference")} for _ in range(2)
        ]
        self.maybe(made, "relatesTo", related)
        return made

    def riskassessment(self) -> Resource:
        chances = [{"probabilityDecimal": abs(Decimal(self.pick(NUMBERS)))} for _ in range(self.chance.randint(1, 2))]
        made: Resource = {"status": "final", "subject": self.to("Patient")}
        self.maybe(made, "prediction", chances)
        return made

    # ------------------------------------------------------------------------------------------ searches

    def type(self) -> str:
        return str(self.pick([kind for kind in TYPES if kind != "Medication"]))

    def clause(self, type: str, depth: int = 0) -> tuple[str, str]:
        """One `name=value`, perhaps through references."""
        roll = self.chance.random()
        if depth < 3 and roll < 0.2:
            names = [name for name, (kind, _) in TYPES[type].items() if kind == "reference"]
            if names:
                name = self.pick(names)
                target = self.pick(list(TARGETS[name]))
                inner, value = self.clause(target, depth + 1)
                if inner.startswith("_has:") and target == "Medication":
                    return self.clause(type, 3)
                named = name == "patient" or (len(TARGETS[name]) == 1 and self.chance.random() < 0.4)
                return (f"{name}.{inner}" if named else f"{name}:{target}.{inner}"), value
        if depth < 3 and roll < 0.35 and type != "Medication":
            leading = [
                (source, name)
                for source, known in TYPES.items()
                for name, (kind, _) in known.items()
                if kind == "reference" and type in TARGETS[name] and source != "Medication"
            ]
            if leading:
                source, name = self.pick(leading)
                inner, value = self.clause(source, depth + 1)
                return f"_has:{source}:{name}:{inner}", value
        return self.criterion(type)

    def criterion(self, type: str) -> tuple[str, str]:
        composites = [name for kind, name in COMPOSITES if kind == type]
        if composites and self.chance.random() < 0.3:
            return self.composite(type, self.pick(composites))
        hidden = (
            {"_lastUpdated", "_id"} if type == "Medication" else {"_lastUpdated"}
        )  # contained: its id is no address
        name = self.pick([each for each in TYPES[type] if each not in hidden])
        kind = TYPES[type][name][0]
        if self.chance.random() < 0.1 and name != "_id":
            return f"{name}:missing", self.pick(["true", "false"])
        modifier = self.pick(self.modifiers(kind, name))
        values = [self.text(type, name, kind, modifier) for _ in range(self.pick([1, 1, 1, 2]))]
        return name + (f":{modifier}" if modifier else ""), ",".join(values)

    def modifiers(self, kind: str, name: str) -> list[str]:
        match kind:
            case "token" if name == "_id":
                return ["", "not"]
            case "token" if name == "identifier":
                return ["", "", "not", "text", "of-type"]
            case "token":
                return ["", "", "not", "text"]
            case "string":
                return ["", "", "exact", "contains"]
            case "uri":
                return ["", "above", "below"]
            case "reference":
                return ["", "", "identifier", *TARGETS[name]]
        return [""]

    def escaped(self, text: str) -> str:
        for each in "\\,|$":
            text = text.replace(each, "\\" + each)
        return text

    def text(self, type: str, name: str, kind: str, modifier: str) -> str:
        match kind:
            case "token":
                return self.token(type, name, modifier)
            case "string":
                pool = {"address-city": CITIES}.get(
                    name, [*FAMILIES, *GIVEN, "county", "县", "zhangwei", "zw", "wei", "xm", "明"]
                )
                text = self.pick(pool)
                return self.escaped(text[: self.chance.randint(1, len(text))] if modifier != "exact" else text)
            case "date":
                return self.pick(PREFIXES) + self.pick([*DAYS, *TIMES, "2026-02-28T23:59+08:00", "2026-02-28T16:00Z"])
            case "number":
                return self.pick(PREFIXES) + self.pick(NUMBERS)
            case "quantity":
                tails = ["", "", "||mmHg", "||mm[Hg]", "|urn:ucum|g", "|urn:ucum|", "||克"]
                return self.pick(PREFIXES) + self.pick(NUMBERS) + self.pick(tails)
            case "uri":
                return self.escaped(self.pick(URLS)) + self.pick(["", "", "/5"])
        if modifier == "identifier":
            return self.token(type, "identifier", "")
        target = modifier or self.pick(list(TARGETS[name]))
        key = self.pick(self.ids.get(target, ["m"]))
        return key if modifier or self.chance.random() < 0.5 else f"{target}/{key}"

    def token(self, type: str, name: str, modifier: str) -> str:
        if modifier == "text":
            text = self.pick([*TEXTS, "Rec"])
            return self.escaped(text[: self.chance.randint(1, len(text))])
        if modifier == "of-type":
            return f"urn:t|{self.pick(['MR', 'XX'])}|{self.pick(['1', '2'])}"
        if name == "_id":
            return str(self.pick([*self.ids[type], "nobody"]) if type in self.ids else "nobody")
        own = {"identifier": ["1", "2", "x|y"], "status": STATUSES.get(type, CODES), "active": ["true", "false"]}
        own["actual"] = own["active"]
        own |= {"gender": ["male"], "phone": ["1", "2"], "relation": ["replaces", "appends"]}
        code = self.escaped(self.pick(own.get(name, CODES)))
        if name in ("active", "phone", "actual"):
            return code
        implied = {"gender": GENDER}.get(name)
        systems = [*SYSTEMS, implied] if implied else SYSTEMS
        form = self.chance.random()
        if form < 0.5:
            return code
        if form < 0.9:
            return f"{self.pick(systems)}|{code}"
        return f"{self.pick(systems[:2])}|"

    def composite(self, type: str, name: str) -> tuple[str, str]:
        first = self.escaped(self.pick(CODES))
        if self.chance.random() < 0.4:
            first = f"{self.pick(SYSTEMS)}|{first}"
        if name == "relationship":
            target = self.pick(self.ids["DocumentReference"])
            return name, f"{self.pick(['replaces', 'appends'])}$DocumentReference/{target}"
        tail = name.rpartition("-")[2]
        kind = {"quantity": "quantity", "concept": "token", "string": "string", "date": "date"}[tail]
        if kind == "string":
            text = self.pick(TEXTS)
            return name, f"{first}${self.escaped(text[: self.chance.randint(1, len(text))])}"
        return name, f"{first}${self.text(type, name, kind, '')}"

    def pairs(self, type: str) -> list[tuple[str, str]]:
        return [self.clause(type) for _ in range(self.pick([1, 1, 2, 2, 3]))]
