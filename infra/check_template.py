"""What infra/template.yaml means after SAM's transform, and that infra/cdk means the same.

    python infra/check_template.py [infra/cdk/cdk.out/farebox.template.json]

Needs the Python environment of aws-sam-cli, which brings `samtranslator`; no account and no network.
Both templates are read into one form (`Stack`), with parameters at their defaults, so that each claim
below is made about what CloudFormation would build and not about how a file spells it.
"""

import json
import os
import re
import sys
import unittest
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
FUNCTIONS = ["Admin", "Chat", "Logger", "Scheduler"]
SECRETS = "arn:aws:secretsmanager:us-east-1:111122223333:secret:farebox/prod"
# Secrets of users and organisations are made at run time, so no policy can name each of them.
WILDCARD_RESOURCES = {f"{SECRETS}/credentials/*"}
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
            if name in values:
                return self.resolve(values[name])
            return self.getatt(name) if "." in name else self.ref(name)

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def equals(self, argument):
        return self.resolve(argument[0]) == self.resolve(argument[1])

    def not_(self, argument):
        return not self.resolve(argument[0])

    def if_(self, argument):
        condition = self.resolve({"Condition": argument[0]})
        return self.resolve(argument[1] if condition else argument[2])

    def __getattr__(self, name):
        if name in ("not", "if"):
            return getattr(self, f"{name}_")
        raise AttributeError(f"no meaning for {name}")

    def resources(self, kind):
        """{name: (properties, resource)} of one type, resolved."""
        return {
            self.rename(name): (self.resolve(one.get("Properties", {})), one)
            for name, one in self.template["Resources"].items()
            if one["Type"] == kind
        }

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
        """{path: (method, transfer mode, uri, timeout)} of the REST API."""
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
            )
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
        """{log group: (pattern, metric, value)}"""
        return {
            one["LogGroupName"]: (one["FilterPattern"], to["MetricNamespace"], to["MetricName"], to["MetricValue"])
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
    def stages(self):
        return [one["StageName"] for one, _ in self.resources("AWS::ApiGateway::Stage").values()]

    @cached_property
    def outputs(self):
        found = {name: self.resolve(one["Value"]) for name, one in self.template["Outputs"].items()}
        # CDK's RestApi always adds an output of its own.
        return {name: one for name, one in found.items() if not name.startswith("ApiEndpoint")}


def listed(value):
    return value if isinstance(value, list) else [value]


def kept(resource):
    return (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))


def sam_stack():
    """The SAM template as CloudFormation would receive it."""
    os.environ.setdefault("AWS_DEFAULT_REGION", PSEUDO["AWS::Region"])
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((ROOT / "infra/template.yaml").read_text())
    # What `sam package` does: the translator takes code only from a bucket.
    template["Globals"]["Function"]["CodeUri"] = "s3://placeholder/code.zip"
    parameters = {name: str(one.get("Default", "")) for name, one in template["Parameters"].items()}
    return Stack(Translator({}, Parser()).translate(template, parameters))


def cdk_stack(path):
    """CDK ends each logical id with eight hex digits and begins it with the construct's path."""
    return Stack(
        json.loads(Path(path).read_text()),
        rename=lambda name: re.sub(r"[0-9A-F]{8}$", "", name).removeprefix("State"),
    )


class TheTemplate(unittest.TestCase):
    stack = None

    def test_every_route_streams(self):
        stream = "arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/<{}Function.Arn>/response-streaming-invocations"
        chat = ("ANY", "AWS_PROXY", "STREAM", stream.format("Chat"), 900_000)
        admin = ("ANY", "AWS_PROXY", "STREAM", stream.format("Admin"), 29_000)

        self.assertEqual(
            self.stack.routes,
            {"/": chat, "/{proxy+}": chat, "/admin": admin, "/admin/{proxy+}": admin},
        )

    def test_the_api_is_regional(self):
        (api, _), = self.stack.resources("AWS::ApiGateway::RestApi").values()

        self.assertEqual(api["EndpointConfiguration"]["Types"], ["REGIONAL"])

    def test_every_function_has_its_own_role(self):
        roles = {name: one["Role"] for name, one in self.stack.functions.items()}

        self.assertEqual(roles, {f"{one}Function": f"<{one}Role.Arn>" for one in FUNCTIONS})

    def test_no_policy_hides_behind_a_managed_one(self):
        for name, (role, _) in self.stack.resources("AWS::IAM::Role").items():
            with self.subTest(name):
                self.assertNotIn("ManagedPolicyArns", role)
                self.assertIn(name, [f"{one}Role" for one in FUNCTIONS])
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            self.assertEqual(self.stack.resources(kind), {})

    def test_every_policy_names_its_actions_and_resources(self):
        for role, rows in self.stack.roles.items():
            for sid, action, resource, _ in rows:
                with self.subTest(role=role, sid=sid, action=action, resource=resource):
                    self.assertNotIn("*", action)
                    if "*" in resource:
                        self.assertIn(resource, WILDCARD_RESOURCES)

    def test_every_statement_allows(self):
        for role, _ in self.stack.resources("AWS::IAM::Role").values():
            for policy in role["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    self.assertEqual(statement["Effect"], "Allow")
                    self.assertFalse({"NotAction", "NotResource"} & statement.keys())

    def test_chat_writes_only_the_outbox_and_the_claims_of_main(self):
        writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        rows = [row for row in self.stack.roles["ChatRole"] if row[1] in writes and "Main" in row[2]]

        allowed = [("dynamodb:PutItem", "OB#*")] + [(action, "I#*") for action in sorted(writes)]
        self.assertEqual(len(rows), len(allowed))
        for action, partitions in allowed:
            keys = f'"dynamodb:LeadingKeys": ["{partitions}"]'
            self.assertTrue(any(row[1] == action and keys in row[3] for row in rows), (action, keys))

    def test_content_is_written_by_chat_and_erased_by_admin_and_rows_by_neither(self):
        for role, action in [("ChatRole", "dynamodb:PutItem"), ("AdminRole", "dynamodb:DeleteItem")]:
            writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
            rows = [row for row in self.stack.roles[role] if row[1] in writes and "Logs" in row[2]]
            with self.subTest(role):
                (row,) = rows
                self.assertEqual(row[1], action)
                self.assertIn('"dynamodb:LeadingKeys": ["X#*"]', row[3])

    def test_no_function_deletes_a_budget(self):
        for role, rows in self.stack.roles.items():
            with self.subTest(role):
                self.assertNotIn(("dynamodb:DeleteItem", "<LedgerTable.Arn>"), {row[1:3] for row in rows})

    def test_only_admin_writes_secrets(self):
        writers = {role for role, rows in self.stack.roles.items() for row in rows if "Secret" in row[1]}
        creators = {
            role for role, rows in self.stack.roles.items() for row in rows if row[1].endswith("PutSecretValue")
        }

        self.assertEqual(writers, {"ChatRole", "SchedulerRole", "AdminRole"})
        self.assertEqual(creators, {"AdminRole"})

    def test_every_table_can_be_restored_and_outlives_the_stack(self):
        self.assertEqual(set(self.stack.tables), {"LedgerTable", "MainTable", "LogsTable"})
        for name, table in self.stack.tables.items():
            with self.subTest(name):
                self.assertTrue(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"])
                self.assertIs(table["DeletionProtectionEnabled"], True)
                self.assertTrue(table["SSESpecification"]["SSEEnabled"])
                self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")
                self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": "ttl", "Enabled": True})
                self.assertEqual(table["keeps"], ("Retain", "Retain"))
        self.assertEqual(self.stack.secrets["Pepper"]["keeps"], ("Retain", "Retain"))

    def test_the_indexes_carry_keys_alone(self):
        indexes = {
            index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
            for table in self.stack.tables.values()
            for index in table.get("GlobalSecondaryIndexes", [])
            if index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
        }

        self.assertEqual(indexes, {"due": ["due", "at"], "bykey": ["keyid", "rid"], "byday": ["d", "rid"]})

    def test_a_message_is_tried_five_times_and_then_kept(self):
        queue = self.stack.queues["Queue"]

        self.assertEqual(
            queue["RedrivePolicy"],
            {"deadLetterTargetArn": "<DeadLetterQueue.Arn>", "maxReceiveCount": 5},
        )
        self.assertEqual(queue["DelaySeconds"], 2)
        self.assertEqual(queue["MessageRetentionPeriod"], 4 * 86_400)
        self.assertEqual(self.stack.queues["DeadLetterQueue"]["MessageRetentionPeriod"], 14 * 86_400)

    def test_a_dead_letter_and_an_unsent_settlement_raise_an_alarm(self):
        wanted = ('"farebox.settlement.v1"', "Farebox/farebox", "UnsentSettlements", "1")
        groups = {f"<{name}Logs>" for name in FUNCTIONS if name != "Logger"}

        self.assertLessEqual({(group, wanted) for group in groups}, set(self.stack.filters.items()))
        self.assertIn(("Farebox/farebox", "UnsentSettlements"), self.stack.alarmed)
        self.assertIn(("AWS/SQS", "ApproximateNumberOfMessagesVisible"), self.stack.alarmed)

    def test_a_message_stays_hidden_for_six_tries_of_the_logger(self):
        (mapping,) = self.stack.mappings
        hidden = self.stack.queues["Queue"]["VisibilityTimeout"]
        one_try = self.stack.functions["LoggerFunction"]["Timeout"]

        self.assertGreaterEqual(hidden, 6 * one_try + mapping["MaximumBatchingWindowInSeconds"])
        self.assertEqual(mapping["EventSourceArn"], "<Queue.Arn>")
        self.assertEqual(mapping["BatchSize"], 10)
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])

    def test_the_scheduler_runs_each_minute_and_is_not_retried(self):
        once = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}

        self.assertEqual(self.stack.schedules, [("rate(1 minute)", "<SchedulerFunction.Arn>", once)])
        self.assertEqual(self.stack.asynchronous, [{"FunctionName": "<SchedulerFunction>"} | once])
        self.assertLess(self.stack.functions["SchedulerFunction"]["Timeout"], 60)

    def test_every_function_runs_on_the_chosen_architecture(self):
        for name, one in self.stack.functions.items():
            with self.subTest(name):
                self.assertEqual((one["Runtime"], one["Architectures"]), ("provided.al2023", ["arm64"]))

    def test_every_log_group_forgets(self):
        groups = {one["LoggingConfig"]["LogGroup"] for one in self.stack.functions.values()}

        self.assertEqual(groups, {f"<{name}>" for name in self.stack.log_groups})
        self.assertEqual({one["RetentionInDays"] for one in self.stack.log_groups.values()}, {30})

    def test_every_variable_set_is_one_that_the_code_reads(self):
        code = (ROOT / "shared/aws/src/config.rs").read_text()
        known = set(re.findall(r"FAREBOX_[A-Z_]*[A-Z]", code))

        for name, one in self.stack.functions.items():
            names = {name for name in one["Environment"]["Variables"] if name.startswith("FAREBOX_")}
            with self.subTest(name):
                self.assertLessEqual(names, known)

    def test_no_secret_is_a_variable(self):
        for name, one in self.stack.functions.items():
            for variable, value in one["Environment"]["Variables"].items():
                with self.subTest(f"{name} {variable}"):
                    self.assertNotIn("resolve:secretsmanager", value)


class TheCdkApp(unittest.TestCase):
    """Every part of the CDK stack equals that of the SAM template."""

    sam = None
    cdk = None

    def agree(self, part):
        self.maxDiff = None
        self.assertEqual(getattr(self.cdk, part), getattr(self.sam, part))

    def test_tables_agree(self):
        self.agree("tables")

    def test_queues_agree(self):
        self.agree("queues")

    def test_secrets_agree(self):
        self.agree("secrets")

    def test_functions_and_their_variables_agree(self):
        self.agree("functions")

    def test_log_groups_agree(self):
        self.agree("log_groups")

    def test_policies_agree(self):
        self.agree("roles")

    def test_routes_agree(self):
        self.agree("routes")

    def test_stages_agree(self):
        self.agree("stages")

    def test_event_sources_agree(self):
        self.agree("mappings")

    def test_schedules_agree(self):
        self.agree("schedules")
        self.agree("asynchronous")

    def test_metric_filters_and_alarms_agree(self):
        self.agree("filters")
        self.agree("alarmed")

    def test_outputs_agree(self):
        self.agree("outputs")


def main():
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    suite = unittest.TestSuite()
    TheTemplate.stack = TheCdkApp.sam = sam_stack()
    suite.addTests(load(TheTemplate))
    if len(sys.argv) > 1:
        TheCdkApp.cdk = cdk_stack(sys.argv[1])
        suite.addTests(load(TheCdkApp))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    broken = len(result.failures) + len(result.errors)
    print(f"infra: {max(result.testsRun - broken, 0)} passed, {broken} failed")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
