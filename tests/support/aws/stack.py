"""infra/template.yaml deployed on moto's CloudFormation: what it makes, and what it says of the rest."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.cloudformation.models import cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.core import DEFAULT_ACCOUNT_ID

TEMPLATE = Path(__file__).resolve().parents[3] / "infra" / "template.yaml"
REGION = "eu-west-1"
PARAMETERS = {"SenderIdentity": "example.com", "SenderAddresses": "shop@example.com"}


class Stack:
    """Inside ``mock_aws``. Of what moto does not make, the properties tell what AWS would."""

    def __init__(self, **parameters: str) -> None:
        client = boto3.client("cloudformation", region_name=REGION)
        with _without_warnings():
            client.create_stack(
                StackName="notifier",
                TemplateBody=TEMPLATE.read_text(),
                Capabilities=["CAPABILITY_NAMED_IAM"],
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value}
                    for name, value in (PARAMETERS | parameters).items()
                ],
            )
        (self._stack,) = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values()
        with _without_warnings():
            described = client.describe_stacks(StackName="notifier")["Stacks"][0]
        self.status = described["StackStatus"]
        self.settings = {
            output["Description"]: output["OutputValue"] for output in described["Outputs"]
        }

    def properties(self, name: str) -> dict[str, Any]:
        """Return a resource's properties with references resolved, as far as moto knows them."""
        with _without_warnings():
            resource = clean_json(self._resources[name], self._stack.resource_map)
        return dict(resource["Properties"])

    def names(self, kind: str) -> list[str]:
        """The logical names of all resources of a type that are wanted."""
        return [name for name, resource in self._resources.items() if resource["Type"] == kind]

    def policy(self, role: str) -> list[dict[str, Any]]:
        """The statements that IAM has for this role."""
        iam = boto3.client("iam")
        arn = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:policy/notifier-{role}"
        found = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
        statements: list[dict[str, Any]] = found["Statement"]
        return statements

    @property
    def _resources(self) -> Mapping[str, Any]:
        resource_map = self._stack.resource_map
        return {
            name: resource
            for name, resource in resource_map._resource_json_map.items()
            if resource_map.lazy_condition_map.get(resource.get("Condition"), True)
        }


def as_listed(value: object) -> list[Any]:
    """Return a list of what IAM lets stand alone or in a list; moto leaves None for ``AWS::NoValue``."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if one is not None]


def statements(policy: str | Mapping[str, Any]) -> list[Any]:
    """Return a policy's statements in an order that does not depend on who wrote it."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    return sorted(document["Statement"], key=lambda one: str(one["Sid"]))


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence moto's warning of each type that it does not make."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
