"""What infra/template.yaml means after SAM's transform, and that infra/cdk means the same.

    python infra/check_template.py [infra/cdk/cdk.out/farebox.template.json [the same with CHANNELS and SIGN_ON [with POOL]]]

Needs the Python environment of aws-sam-cli, which brings `samtranslator`; no account and no network.
Both templates are read into one form (`Stack`), with parameters at their defaults, so that each claim
below is made about what CloudFormation would build and not about how a file spells it.
"""

import json
import re
import sys
import unittest

from cloudformation import ROOT, cdk_stack, sam_stack

FUNCTIONS = ["Admin", "Chat", "Logger", "Scheduler"]
SECRETS = "arn:aws:secretsmanager:us-east-1:111122223333:secret:farebox/prod"
# Secrets of users and organisations are made at run time, so no policy can name each of them.
WILDCARD_RESOURCES = {f"{SECRETS}/credentials/*"}
# What the stacks of `TheAlertChannels` are made with; CDK spells the names with a small letter.
CHANNELS = {
    "AlertTopic": "arn:aws:sns:us-east-1:111122223333:alerts",
    "AlertSender": "farebox@example.com",
    "AlertRecipients": "ops@example.com",
    "StatementRecipients": "money@example.com",
    "Lake": "true",
}
# And those of `TheSignOn`.
SIGN_ON = {
    "OidcIssuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123",
    "OidcClientId": "1example23456789",
    "OidcClientSecret": "arn:aws:secretsmanager:us-east-1:111122223333:secret:farebox-console-AbCdEf",
}

# And those of `TheUserPool`.
POOL = {"SignInDomain": "farebox-example", "PublicUrl": "https://llm.example.com/prod"}


class TheTemplate(unittest.TestCase):
    stack = None

    def test_every_route_streams(self):
        stream = "arn:aws:apigateway:us-east-1:lambda:path/2021-11-15/functions/<{}Function.Arn>/response-streaming-invocations"
        chat = ("ANY", "AWS_PROXY", "STREAM", stream.format("Chat"), 900_000, "NONE")
        admin = ("ANY", "AWS_PROXY", "STREAM", stream.format("Admin"), 29_000, "NONE")
        signed = admin[:-1] + ("AWS_IAM",)

        self.assertEqual(
            self.stack.routes,
            {"/": chat, "/{proxy+}": chat, "/admin": admin, "/admin/{proxy+}": admin, "/iam/admin/{proxy+}": signed},
        )

    def test_what_the_gateway_answers_by_itself_has_the_shape_of_all_other_errors(self):
        ours = set(re.findall(r'(?:row|retry)\(\d+, "([a-z_]+)"\)', (ROOT / "shared/core/src/error.rs").read_text()))
        answers = self.stack.answers

        self.assertLessEqual({"DEFAULT_4XX", "DEFAULT_5XX", "INVALID_SIGNATURE", "THROTTLED"}, set(answers))
        for kind, (status, templates) in answers.items():
            with self.subTest(kind):
                self.assertIsNone(status)
                self.assertEqual(list(templates), ["application/json"])
                (text,) = templates.values()
                body = json.loads(text.replace("$context.error.messageString", '"why"'))
                code = body["error"].pop("code")
                self.assertEqual(body, {"error": {"message": "why"}})
                self.assertIn(code, ours | {"gateway_refused", "gateway_failed"})

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

    def test_chat_writes_only_partitions_of_its_own_in_main(self):
        writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
        rows = [row for row in self.stack.roles["ChatRole"] if row[1] in writes and "Main" in row[2]]

        # The outbox, credentials at rest, rates, and the claims of repeats.
        allowed = [("dynamodb:PutItem", "OB#*"), ("dynamodb:PutItem", "CD#*"), ("dynamodb:UpdateItem", "RL#*")]
        allowed += [(action, "I#*") for action in sorted(writes)]
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

    def test_the_audit_is_only_added_to_and_by_admin_and_the_scheduler_alone(self):
        adds = ("AdminRole", "dynamodb:PutItem")
        ends = ("SchedulerRole", "dynamodb:PutItem")
        for role, rows in self.stack.roles.items():
            for _, action, resource, condition in rows:
                is_write = action in {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
                if not is_write or resource != "<MainTable.Arn>" or (role, action) == adds:
                    continue
                with self.subTest(role=role, action=action):
                    beside = '"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["AU#*"]}'
                    within = '"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ['
                    self.assertTrue(beside in condition or within in condition, condition)
                    self.assertTrue("AU#" not in condition or beside in condition or (role, action) == ends)

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

        self.assertLessEqual({(group, *wanted) for group in groups}, self.stack.filters)
        self.assertIn(("Farebox/farebox", "UnsentSettlements"), self.stack.alarmed)
        self.assertIn(("AWS/SQS", "ApproximateNumberOfMessagesVisible"), self.stack.alarmed)

    def test_what_a_log_says_is_wrong_raises_an_alarm(self):
        pattern = '{ ($.level = "ERROR") && ($.fields.metric = "*") }'
        wanted = {(f"<{name}Logs>", pattern, "Farebox/farebox", "Faults", "1") for name in FUNCTIONS}

        self.assertLessEqual(wanted, self.stack.filters)
        self.assertIn(("Farebox/farebox", "Faults"), self.stack.alarmed)

    def test_what_a_provider_does_wrong_is_counted(self):
        pattern = '{ ($.fields.metric = "provider_fault") || ($.fields.metric = "usage_missing") }'
        wanted = ("<ChatLogs>", pattern, "Farebox/farebox", "ProviderOddities", "1")
        self.assertIn(wanted, self.stack.filters)

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
        readers = ("config.rs", "channels.rs", "sign_on.rs")
        code = "".join((ROOT / "shared/aws/src" / reader).read_text() for reader in readers)
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

    def test_answers_agree(self):
        self.agree("answers")

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


class TheSignOn(unittest.TestCase):
    """Of each tool's stack, made with the parameters of `SIGN_ON`."""

    def readers(self, stack):
        rows = ((role, row) for role, rows in stack.roles.items() for row in rows)
        return [(role, *row[:3]) for role, row in rows if row[2] == SIGN_ON["OidcClientSecret"]]

    def test_admin_alone_reads_the_clients_secret_and_only_where_there_is_one(self):
        self.assertEqual(self.readers(TheTemplate.stack), [])
        row = ("AdminRole", "SignOn", "secretsmanager:GetSecretValue", SIGN_ON["OidcClientSecret"])
        for tool, stack in TheAlertChannels.chosen.items():
            with self.subTest(tool):
                self.assertEqual(self.readers(stack), [row])

    def test_admin_alone_knows_the_provider(self):
        for tool, stack in TheAlertChannels.chosen.items():
            for name, one in stack.functions.items():
                told = {key: value for key, value in one["Environment"]["Variables"].items() if "_OIDC_" in key}
                with self.subTest(tool=tool, function=name):
                    self.assertEqual(len(told), 5 if name == "AdminFunction" else 0)
                    for variable, parameter in [("ISSUER", "OidcIssuer"), ("CLIENT_ID", "OidcClientId")]:
                        if told:
                            self.assertEqual(told[f"FAREBOX_OIDC_{variable}"], SIGN_ON[parameter])


class TheUserPool(unittest.TestCase):
    """Of each tool's stack, made with the parameters of `POOL`."""

    chosen = {}

    def test_there_is_none_unless_it_is_chosen(self):
        for stack in [TheTemplate.stack, *TheAlertChannels.chosen.values()]:
            self.assertEqual(stack.sign_in, {})
            self.assertNotIn("UserPoolId", stack.outputs)

    def test_both_stacks_make_the_same_pool(self):
        self.maxDiff = None
        sam = self.chosen["SAM"]
        self.assertEqual(set(sam.sign_in), {"UserPool", "UserPoolDomain", "UserPoolClient"})
        for stack in self.chosen.values():
            for part in ("sign_in", "functions", "roles", "outputs"):
                with self.subTest(part):
                    self.assertEqual(getattr(stack, part), getattr(sam, part))

    def test_admin_alone_knows_it_and_needs_no_right_for_it(self):
        issuer = "https://cognito-idp.us-east-1.amazonaws.com/<UserPool>"
        wanted = ["https://llm.example.com/prod", issuer, "<UserPoolClient>", "", "openid email", "cognito:groups"]
        names = ["PUBLIC_URL", *(f"OIDC_{one}" for one in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "SCOPES", "GROUPS_CLAIM"))]
        stack = self.chosen["SAM"]
        for name, one in stack.functions.items():
            told = one["Environment"]["Variables"]
            with self.subTest(name):
                values = [told.get(f"FAREBOX_{variable}") for variable in names]
                self.assertEqual(values, wanted if name == "AdminFunction" else [None] * len(names))
        self.assertEqual(stack.roles, TheTemplate.stack.roles)

    def test_nobody_lets_themselves_in_and_the_code_comes_back_to_the_console_alone(self):
        made = self.chosen["SAM"].sign_in
        self.assertIs(made["UserPool"]["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"], True)
        self.assertEqual(made["UserPool"]["AutoVerifiedAttributes"], ["email"])
        self.assertEqual(made["UserPool"]["keeps"], ("Retain", "Retain"))
        client, base = made["UserPoolClient"], POOL["PublicUrl"]
        self.assertEqual((client["AllowedOAuthFlows"], client["GenerateSecret"]), (["code"], False))
        self.assertEqual(client["AllowedOAuthScopes"], ["openid", "email"])
        self.assertEqual(client["CallbackURLs"], [f"{base}/admin/console/callback"])
        self.assertEqual(client["LogoutURLs"], [f"{base}/admin/console"])

    def test_a_pool_without_its_way_back_or_beside_another_provider_is_refused(self):
        self.assertEqual([TheTemplate.stack.refusals, self.chosen["SAM"].refusals], [[], []])
        for chosen, why in [({"SignInDomain": "x"}, "PublicUrl"), (POOL | SIGN_ON, "OidcIssuer")]:
            (told,) = sam_stack(chosen).refusals
            self.assertIn(why, told)


class TheAlertChannels(unittest.TestCase):
    """Of each tool's stack, made with the parameters of `CHANNELS` and `SIGN_ON`."""

    chosen = {}

    def rows(self, stack, action):
        return [(role, *row) for role, rows in stack.roles.items() for row in rows if row[1] == action]

    def test_nobody_publishes_or_mails_unless_it_is_chosen(self):
        for action in ("sns:Publish", "ses:SendEmail"):
            self.assertEqual(self.rows(TheTemplate.stack, action), [])

    def test_the_scheduler_alone_publishes_to_the_topic_alone(self):
        for tool, stack in self.chosen.items():
            with self.subTest(tool):
                row = ("SchedulerRole", "PublishAlerts", "sns:Publish", CHANNELS["AlertTopic"], "null")
                self.assertEqual(self.rows(stack, "sns:Publish"), [row])

    def test_the_scheduler_alone_mails_and_from_the_sender_alone(self):
        identities = "arn:aws:ses:us-east-1:111122223333:identity/*"
        sender = json.dumps({"StringEquals": {"ses:FromAddress": CHANNELS["AlertSender"]}})
        for tool, stack in self.chosen.items():
            with self.subTest(tool):
                row = ("SchedulerRole", "MailAlerts", "ses:SendEmail", identities, sender)
                self.assertEqual(self.rows(stack, "ses:SendEmail"), [row])

    def test_the_sums_of_a_statement_are_read_and_no_row_and_only_where_it_is_chosen(self):
        def reads(stack):
            rows = self.rows(stack, "dynamodb:Query")
            return [row for row in rows if row[0] == "SchedulerRole" and row[3] == "<LogsTable.Arn>"]

        self.assertEqual(reads(TheTemplate.stack), [])
        for tool, stack in self.chosen.items():
            with self.subTest(tool):
                (row,) = reads(stack)
                self.assertEqual(row[1:4], ("ReadSums", "dynamodb:Query", "<LogsTable.Arn>"))
                self.assertIn('"dynamodb:LeadingKeys": ["R#*"]', row[4])

    def test_there_is_no_lake_unless_it_is_chosen(self):
        self.assertEqual(TheTemplate.stack.lake, {})
        for action in ("s3:PutObject", "dynamodb:BatchGetItem"):
            rows = self.rows(TheTemplate.stack, action)
            self.assertEqual([row for row in rows if row[0] == "SchedulerRole"], [])

    def test_both_stacks_make_the_same_lake(self):
        self.maxDiff = None
        sam = self.chosen["SAM"].lake
        self.assertEqual(set(sam), {"LakeBucket", "LakeBucketPolicy", "LakeDatabase", "LakeTable"})
        for stack in self.chosen.values():
            self.assertEqual(stack.lake, sam)

    def test_the_table_has_the_columns_that_the_scheduler_writes(self):
        types = {"Text": "string", "Usd": "decimal(38,12)", "Count": "bigint", "Ms": "bigint", "Time": "timestamp"}
        code = (ROOT / "functions/scheduler/src/lake/columns.rs").read_text()
        written = re.findall(r'\("([a-z_]+)",\s*Value::(\w+)', code)
        table = self.chosen["SAM"].lake["LakeTable"]["TableInput"]

        columns = [(one["Name"], one["Type"]) for one in table["StorageDescriptor"]["Columns"]]
        self.assertEqual(columns, [(name, types[kind]) for name, kind in written])

    def test_the_lake_is_written_by_the_scheduler_alone_and_from_calls_rows_alone(self):
        for tool, stack in self.chosen.items():
            with self.subTest(tool):
                (write,) = self.rows(stack, "s3:PutObject")
                self.assertEqual(write[:4], ("SchedulerRole", "WriteLake", "s3:PutObject", "<LakeBucket.Arn>/rows/*"))
                reads = [row for row in self.rows(stack, "dynamodb:BatchGetItem") if row[0] == "SchedulerRole"]
                self.assertEqual([row[3] for row in reads], ["<LogsTable.Arn>"])
                self.assertIn('"dynamodb:LeadingKeys": ["U#*"]', reads[0][4])
                variables = stack.functions["SchedulerFunction"]["Environment"]["Variables"]
                self.assertEqual(variables["FAREBOX_LAKE_BUCKET"], "<LakeBucket>")

    def test_who_sends_and_who_shows_them_know_the_channels(self):
        for tool, stack in self.chosen.items():
            for name, one in stack.functions.items():
                told = {key for key in one["Environment"]["Variables"] if key.startswith("FAREBOX_ALERT_")}
                with self.subTest(tool=tool, function=name):
                    self.assertEqual(len(told), 3 if name in ("SchedulerFunction", "AdminFunction") else 0)


def main():
    load = unittest.defaultTestLoader.loadTestsFromTestCase
    suite = unittest.TestSuite()
    TheTemplate.stack = TheCdkApp.sam = sam_stack()
    suite.addTests(load(TheTemplate))
    if len(sys.argv) > 1:
        TheCdkApp.cdk = cdk_stack(sys.argv[1])
        suite.addTests(load(TheCdkApp))
    TheAlertChannels.chosen = {"SAM": sam_stack(CHANNELS | SIGN_ON)}
    if len(sys.argv) > 2:
        TheAlertChannels.chosen["CDK"] = cdk_stack(sys.argv[2])
    suite.addTests(load(TheAlertChannels))
    suite.addTests(load(TheSignOn))
    TheUserPool.chosen = {"SAM": sam_stack(POOL)}
    if len(sys.argv) > 3:
        TheUserPool.chosen["CDK"] = cdk_stack(sys.argv[3])
    suite.addTests(load(TheUserPool))
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    broken = len(result.failures) + len(result.errors)
    print(f"infra: {max(result.testsRun - broken, 0)} passed, {broken} failed")
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
