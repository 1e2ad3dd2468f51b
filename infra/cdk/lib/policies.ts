import { ArnFormat, Stack } from "aws-cdk-lib";
import { Table } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Lake } from "./lake";
import { Settings } from "./settings";
import { State } from "./state";

// Exact actions on exact resources, written out and not left to `grant...`, which gives more.

export function chatStatements(state: State): PolicyStatement[] {
  const outbox = allow("Outbox", ["dynamodb:PutItem"], [state.main.tableArn]);
  const claims = allow(
    "Claims",
    ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
    [state.main.tableArn],
  );
  const rates = allow("Rates", ["dynamodb:UpdateItem"], [state.main.tableArn]);
  const resting = allow("Resting", ["dynamodb:PutItem"], [state.main.tableArn]);
  const contents = allow("Contents", ["dynamodb:PutItem"], [state.logs.tableArn]);

  return [
    allow("Ledger", ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], [state.ledger.tableArn]),
    allow("ReadMain", ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"], [state.main.tableArn]),
    within("OB#*", outbox),
    within("I#*", claims),
    within("RL#*", rates),
    within("CD#*", resting),
    within("X#*", contents),
    allow(
      "ReadLogs",
      ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
      [state.logs.tableArn, indexOf(state.logs, "bykey")],
    ),
    allow("Enqueue", ["sqs:SendMessage"], [state.queue.queueArn]),
    allow("Secrets", ["secretsmanager:GetSecretValue"], [state.pepper.secretArn, credentialsOf(state)]),
  ];
}

export function loggerStatements(state: State): PolicyStatement[] {
  return [
    allow("Ledger", ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"], [state.ledger.tableArn]),
    allow("Main", ["dynamodb:GetItem"], [state.main.tableArn]),
    besideAudit(allow("WriteMain", ["dynamodb:PutItem", "dynamodb:UpdateItem"], [state.main.tableArn])),
    allow(
      "WriteLogs",
      ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
      [state.logs.tableArn],
    ),
    allow(
      "Receive",
      ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
      [state.queue.queueArn],
    ),
  ];
}

export function schedulerStatements(state: State, settings: Settings, lake?: Lake): PolicyStatement[] {
  const publish = allow("PublishAlerts", ["sns:Publish"], [settings.alertTopic]);
  const identities = Stack.of(state).formatArn({ service: "ses", resource: "identity", resourceName: "*" });
  // SES judges by the identity that is verified, an address or its domain: so the sender binds here.
  const mail = allow("MailAlerts", ["ses:SendEmail"], [identities]);
  mail.addCondition("StringEquals", { "ses:FromAddress": settings.alertSender });
  // The sums of usage, and no call's row.
  const sums = within("R#*", allow("ReadSums", ["dynamodb:Query"], [state.logs.tableArn]));

  return [
    allow("Ledger", ["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem"], [state.ledger.tableArn]),
    allow("Main", ["dynamodb:GetItem"], [state.main.tableArn]),
    besideAudit(
      allow(
        "WriteMain",
        ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"],
        [state.main.tableArn],
      ),
    ),
    within("AU#*", allow("Audit", ["dynamodb:PutItem"], [state.main.tableArn])),
    allow("Due", ["dynamodb:Query"], [indexOf(state.main, "due")]),
    allow("Enqueue", ["sqs:SendMessage"], [state.queue.queueArn]),
    allow("WebhookSecret", ["secretsmanager:GetSecretValue"], [webhookOf(state)]),
    ...(settings.alertTopic ? [publish] : []),
    ...(settings.alertSender ? [mail] : []),
    ...(settings.statementRecipients || lake ? [sums] : []),
    ...(lake ? lakeStatements(state, lake) : []),
  ];
}

/** Calls' rows, and nothing of what was said. */
function lakeStatements(state: State, lake: Lake): PolicyStatement[] {
  return [
    allow("ListRows", ["dynamodb:Query"], [indexOf(state.logs, "byday")]),
    within("U#*", allow("ReadRows", ["dynamodb:BatchGetItem"], [state.logs.tableArn])),
    allow("WriteLake", ["s3:PutObject"], [`${lake.bucket.attrArn}/rows/*`]),
  ];
}

export function adminStatements(state: State, settings: Settings): PolicyStatement[] {
  const signOn = allow("SignOn", ["secretsmanager:GetSecretValue"], [settings.oidcClientSecret]);

  return [
    allow(
      "Ledger",
      ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Scan", "dynamodb:UpdateItem"],
      [state.ledger.tableArn],
    ),
    allow(
      "Main",
      [
        "dynamodb:BatchGetItem",
        "dynamodb:ConditionCheckItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
      ],
      [state.main.tableArn],
    ),
    besideAudit(allow("ChangeMain", ["dynamodb:DeleteItem", "dynamodb:UpdateItem"], [state.main.tableArn])),
    allow(
      "ReadLogs",
      ["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"],
      [state.logs.tableArn, indexOf(state.logs, "bykey"), indexOf(state.logs, "byday")],
    ),
    within("X#*", allow("EraseContents", ["dynamodb:DeleteItem"], [state.logs.tableArn])),
    allow("CountMessages", ["sqs:GetQueueAttributes"], [state.queue.queueArn, state.deadLetterQueue.queueArn]),
    allow("Enqueue", ["sqs:SendMessage"], [state.queue.queueArn]),
    allow(
      "WriteSecrets",
      [
        "secretsmanager:CreateSecret",
        "secretsmanager:DeleteSecret",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
      ],
      [credentialsOf(state), webhookOf(state)],
    ),
    allow(
      "ReadSecrets",
      ["secretsmanager:GetSecretValue"],
      [state.pepper.secretArn, state.adminKey.secretArn],
    ),
    ...(settings.oidcClientSecret ? [signOn] : []),
  ];
}

/** Only items of partitions whose keys look so. */
function within(partitions: string, statement: PolicyStatement): PolicyStatement {
  statement.addCondition("ForAllValues:StringLike", { "dynamodb:LeadingKeys": [partitions] });
  statement.addCondition("Null", { "dynamodb:LeadingKeys": "false" });
  return statement;
}

/** Any partition but those of the audit, which is only added to. */
function besideAudit(statement: PolicyStatement): PolicyStatement {
  statement.addCondition("ForAllValues:StringNotLike", { "dynamodb:LeadingKeys": ["AU#*"] });
  statement.addCondition("Null", { "dynamodb:LeadingKeys": "false" });
  return statement;
}

export function allow(sid: string, actions: string[], resources: string[]): PolicyStatement {
  return new PolicyStatement({ sid, actions, resources });
}

function indexOf(table: Table, index: string): string {
  return `${table.tableArn}/index/${index}`;
}

function credentialsOf(state: State): string {
  return secretArn(state, "credentials/*");
}

/** The six marks are the random end that Secrets Manager gives every ARN. */
function webhookOf(state: State): string {
  return secretArn(state, "webhook-??????");
}

function secretArn(state: State, name: string): string {
  return Stack.of(state).formatArn({
    service: "secretsmanager",
    resource: "secret",
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    resourceName: `${state.secretPrefix}/${name}`,
  });
}
