"""A CloudFormation template in one form, whichever tool wrote it."""

import json
import os
import re
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PSEUDO = {
    "AWS::StackName": "farebox",
    "AWS::Region": "us-east-1",
    "AWS::Partition": "aws",
    "AWS::AccountId": "111122223333",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()


class Stack:
    """A CloudFormation template with its intrinsic functions resolved."""

    def __init__(self, template, rename=lambda name: name):
        self.template = template
        self.rename = rename
        self.parameters = {
            name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()
        }

    def resolve(self, value):
        """A resource becomes its name in angle brackets, everything else what it evaluates to."""
        if isinstance(value, list):
            return [one for one in map(self.resolve, value) if one is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), = value.items()
            if name == "Ref":
                return self.ref(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.resolve(self.template["Conditions"][argument])
            if name.startswith("Fn::"):
                return getattr(self, name[4:].lower())(argument)
        resolved = {key: self.resolve(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not NO_VALUE}

    def ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        return PSEUDO.get(name) or self.parameters.get(name, f"<{self.rename(name)}>")

    def getatt(self, argument):
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return f"<{self.rename(name)}.{attribute}>"

    def join(self, argument):
        return argument[0].join(self.resolve(argument[1]))

    def sub(self, argument):
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def value(match):
            name = match.group(1)
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return self.resolve(values[name])
            return self.getatt(name) if "." in name else self.ref(name)

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def equals(self, argument):
        return self.resolve(argument[0]) == self.resolve(argument[1])

    def not_(self, argument):
        return not self.resolve(argument[0])

    def and_(self, argument):
        return all(self.resolve(one) for one in argument)

    def or_(self, argument):
        return any(self.resolve(one) for one in argument)

    def if_(self, argument):
        condition = self.resolve({"Condition": argument[0]})
        return self.resolve(argument[1] if condition else argument[2])

    def __getattr__(self, name):
        if name in ("not", "and", "or", "if"):
            return getattr(self, f"{name}_")
        raise AttributeError(f"no meaning for {name}")

    def resources(self, kind):
        """{name: (properties, resource)} of one type, resolved."""
        return {
            self.rename(name): (self.resolve(one.get("Properties", {})), one)
            for name, one in self.template["Resources"].items()
            if one["Type"] == kind and self.is_made(one)
        }

    def is_made(self, one):
        return "Condition" not in one or self.resolve({"Condition": one["Condition"]})

    @cached_property
    def tables(self):
        found = {}
        for name, (table, resource) in self.resources("AWS::DynamoDB::Table").items():
            table["AttributeDefinitions"].sort(key=lambda one: one["AttributeName"])
            table.get("GlobalSecondaryIndexes", []).sort(key=lambda one: one["IndexName"])
            found[name] = table | {"keeps": kept(resource)}
        return found

    @cached_property
    def queues(self):
        return {name: queue for name, (queue, _) in self.resources("AWS::SQS::Queue").items()}

    @cached_property
    def secrets(self):
        return {
            name: secret | {"keeps": kept(resource)}
            for name, (secret, resource) in self.resources("AWS::SecretsManager::Secret").items()
        }

    @cached_property
    def functions(self):
        """Without what each tool adds by itself: code location and tags."""
        return {
            name: {key: one for key, one in function.items() if key not in ("Code", "Tags")}
            for name, (function, _) in self.resources("AWS::Lambda::Function").items()
        }

    @cached_property
    def log_groups(self):
        found = {}
        for name, (group, _) in self.resources("AWS::Logs::LogGroup").items():
            found[name] = group | {"RetentionInDays": int(group["RetentionInDays"])}
        return found

    @cached_property
    def roles(self):
        """{role: {(sid, action, resource, condition)}}, one row for each action on each resource."""
        found = {}
        for name, (role, _) in self.resources("AWS::IAM::Role").items():
            found[name] = {
                (statement["Sid"], action, resource, json.dumps(statement.get("Condition"), sort_keys=True))
                for policy in role.get("Policies", [])
                for statement in policy["PolicyDocument"]["Statement"]
                for action in listed(statement["Action"])
                for resource in listed(statement["Resource"])
            }
        return found

    @cached_property
    def routes(self):
        """{path: (method, type, transfer mode, uri, timeout, authorization)} of the REST API."""
        found = {}
        for api, _ in self.resources("AWS::ApiGateway::RestApi").values():
            for path, methods in api.get("Body", {}).get("paths", {}).items():
                for method, one in methods.items():
                    integration = one["x-amazon-apigateway-integration"]
                    found[path] = (
                        "ANY" if method == "x-amazon-apigateway-any-method" else method.upper(),
                        integration["type"].upper(),
                        integration.get("responseTransferMode", "BUFFERED"),
                        integration["uri"],
                        integration.get("timeoutInMillis"),
                        "AWS_IAM" if {"AWS_IAM": []} in one.get("security", []) else "NONE",
                    )
        parents = {f"<{name}>": one for name, (one, _) in self.resources("AWS::ApiGateway::Resource").items()}

        def path_of(resource):
            one = parents.get(resource)
            return f"{path_of(one['ParentId'])}/{one['PathPart']}" if one else ""

        for method, _ in self.resources("AWS::ApiGateway::Method").values():
            integration = method["Integration"]
            found[path_of(method["ResourceId"]) or "/"] = (
                method["HttpMethod"],
                integration["Type"],
                integration.get("ResponseTransferMode", "BUFFERED"),
                integration["Uri"],
                integration.get("TimeoutInMillis"),
                method.get("AuthorizationType", "NONE"),
            )
        return found

    @cached_property
    def answers(self):
        """{type: templates} of what API Gateway answers by itself, with the status of its own."""
        found = {}
        for api, _ in self.resources("AWS::ApiGateway::RestApi").values():
            for kind, one in api.get("Body", {}).get("x-amazon-apigateway-gateway-responses", {}).items():
                found[kind] = (one.get("statusCode"), one["responseTemplates"])
        for one, _ in self.resources("AWS::ApiGateway::GatewayResponse").values():
            found[one["ResponseType"]] = (one.get("StatusCode"), one["ResponseTemplates"])
        return found

    @cached_property
    def mappings(self):
        return [one for one, _ in self.resources("AWS::Lambda::EventSourceMapping").values()]

    @cached_property
    def schedules(self):
        """[(expression, target, retries)]"""
        return [
            (rule["ScheduleExpression"], target["Arn"], target["RetryPolicy"])
            for rule, _ in self.resources("AWS::Events::Rule").values()
            for target in rule["Targets"]
        ]

    @cached_property
    def asynchronous(self):
        keys = ("FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts")
        found = self.resources("AWS::Lambda::EventInvokeConfig").values()
        return [{key: one[key] for key in keys} for one, _ in found]

    @cached_property
    def filters(self):
        """{(log group, pattern, namespace, metric, value)}"""
        return {
            (one["LogGroupName"], one["FilterPattern"], to["MetricNamespace"], to["MetricName"], to["MetricValue"])
            for one, _ in self.resources("AWS::Logs::MetricFilter").values()
            for to in one["MetricTransformations"]
        }

    @cached_property
    def alarmed(self):
        """The metrics that raise an alarm as soon as they are above zero."""
        return {
            (one["Namespace"], one["MetricName"])
            for one, _ in self.resources("AWS::CloudWatch::Alarm").values()
            if "MetricName" in one and one["Threshold"] == 0
        }

    @cached_property
    def lake(self):
        """The bucket, who may not use it, and the table of Athena."""
        kinds = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::Glue::Database", "AWS::Glue::Table")
        return {
            name: one | {"keeps": kept(resource)}
            for kind in kinds
            for name, (one, resource) in self.resources(kind).items()
        }

    @cached_property
    def sign_in(self):
        """The user pool, its domain and its client."""
        return {
            name: one | {"keeps": kept(resource)}
            for kind in ("UserPool", "UserPoolDomain", "UserPoolClient")
            for name, (one, resource) in self.resources(f"AWS::Cognito::{kind}").items()
        }

    @cached_property
    def refusals(self):
        """Why CloudFormation would not take these parameters."""
        rules = self.template.get("Rules", {}).values()
        wrong = [one for rule in rules if self.resolve(rule["RuleCondition"]) for one in rule["Assertions"]]
        return [one["AssertDescription"] for one in wrong if not self.resolve(one["Assert"])]

    @cached_property
    def stages(self):
        return [one["StageName"] for one, _ in self.resources("AWS::ApiGateway::Stage").values()]

    @cached_property
    def outputs(self):
        made = {name: one for name, one in self.template["Outputs"].items() if self.is_made(one)}
        found = {name: self.resolve(one["Value"]) for name, one in made.items()}
        # CDK's RestApi always adds an output of its own.
        return {name: one for name, one in found.items() if not name.startswith("ApiEndpoint")}


def listed(value):
    return value if isinstance(value, list) else [value]


def kept(resource):
    return (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))


def sam_stack(chosen=()):
    """The SAM template as CloudFormation would receive it, with the parameters that were chosen."""
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((ROOT / "infra/template.yaml").read_text())
    # What `sam package` does: the translator takes code only from a bucket.
    template["Globals"]["Function"]["CodeUri"] = "s3://placeholder/code.zip"
    parameters = {name: str(one.get("Default", "")) for name, one in template["Parameters"].items()}
    for name, value in dict(chosen).items():
        template["Parameters"][name]["Default"] = parameters[name] = value
    return Stack(Translator({}, Parser()).translate(template, parameters))


def cdk_stack(path):
    """CDK ends each logical id with eight hex digits and begins it with the construct's path."""
    return Stack(
        json.loads(Path(path).read_text()),
        rename=lambda name: re.sub(r"[0-9A-F]{8}$", "", name).removeprefix("State"),
    )
