import { CfnOutput, Duration, Stack } from "aws-cdk-lib";
import { EndpointType, ResponseType, RestApi } from "aws-cdk-lib/aws-apigateway";
import { Rule, Schedule } from "aws-cdk-lib/aws-events";
import { LambdaFunction } from "aws-cdk-lib/aws-events-targets";
import { EventSourceMapping } from "aws-cdk-lib/aws-lambda";
import { Construct } from "constructs";
import { alarms } from "./alarms";
import { GatewayFunction, signed, stream } from "./functions";
import { Lake } from "./lake";
import { adminStatements, chatStatements, loggerStatements, schedulerStatements } from "./policies";
import { Settings } from "./settings";
import { State } from "./state";
import { UserPool } from "./user-pool";

/**
 * The stack of `infra/template.yaml` in native constructs, for those who deploy with CDK. The SAM
 * template is the reference: `infra/check_template.py` fails where the two disagree, and the reasons
 * for the numbers stand there.
 */
/** What API Gateway answers by itself, with the codes of all other errors. */
const OWN_ANSWERS = {
  DEFAULT_4XX: "gateway_refused",
  DEFAULT_5XX: "gateway_failed",
  ACCESS_DENIED: "forbidden",
  EXPIRED_TOKEN: "forbidden",
  INVALID_SIGNATURE: "forbidden",
  MISSING_AUTHENTICATION_TOKEN: "forbidden",
  UNAUTHORIZED: "forbidden",
  REQUEST_TOO_LARGE: "request_too_large",
  THROTTLED: "rate_limit_exceeded",
};

export class FareboxStack extends Stack {
  constructor(scope: Construct, id: string, settings: Settings) {
    super(scope, id, { description: "Farebox, an LLM gateway that holds the cost of a call before it is made." });
    const state = new State(this, settings);
    const lake = settings.lake ? new Lake(this, settings) : undefined;
    const pool = settings.signInDomain ? new UserPool(this, settings) : undefined;

    const shared = {
      FAREBOX_LEDGER_TABLE: state.ledger.tableName,
      FAREBOX_MAIN_TABLE: state.main.tableName,
      FAREBOX_LOGS_TABLE: state.logs.tableName,
      FAREBOX_QUEUE_URL: state.queue.queueUrl,
      FAREBOX_TENANT: settings.tenant,
      FAREBOX_STAGE: settings.stage,
      FAREBOX_SECRET_PREFIX: state.secretPrefix,
      FAREBOX_ALLOWED_ORIGINS: settings.allowedOrigins,
    };
    const alerts = {
      FAREBOX_ALERT_TOPIC: settings.alertTopic,
      FAREBOX_ALERT_SENDER: settings.alertSender,
      FAREBOX_ALERT_RECIPIENTS: settings.alertRecipients,
      FAREBOX_STATEMENT_RECIPIENTS: settings.statementRecipients,
      FAREBOX_STATEMENT_BY: settings.statementBy,
    };
    const signOn = {
      FAREBOX_PUBLIC_URL: settings.publicUrl,
      FAREBOX_OIDC_ISSUER: settings.oidcIssuer,
      FAREBOX_OIDC_CLIENT_ID: settings.oidcClientId,
      FAREBOX_OIDC_CLIENT_SECRET: settings.oidcClientSecret,
      FAREBOX_OIDC_SCOPES: settings.oidcScopes,
      FAREBOX_OIDC_GROUPS_CLAIM: settings.oidcGroupsClaim,
      ...pool?.signOn,
    };
    const http = {
      ...shared,
      FAREBOX_PEPPER_SECRET: state.pepper.secretArn,
      AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH: "true",
    };

    const chat = new GatewayFunction(this, "Chat", settings, {
      description: "Authenticates, holds, calls the provider, relays, settles.",
      memorySize: 512,
      timeout: Duration.seconds(900),
      environment: http,
      statements: chatStatements(state),
    });
    const logger = new GatewayFunction(this, "Logger", settings, {
      description: "Turns settlement events into log rows and finishes what a call left open.",
      memorySize: 256,
      timeout: Duration.seconds(15),
      environment: shared,
      statements: loggerStatements(state),
    });
    const scheduler = new GatewayFunction(this, "Scheduler", settings, {
      description: "Closes past periods, delivers alerts and drains the outbox, each minute.",
      memorySize: 256,
      timeout: Duration.seconds(55),
      environment: {
        ...shared,
        ...alerts,
        FAREBOX_LAKE_BUCKET: lake?.bucket.ref ?? "",
        // Longer than a record takes through the queue: a crossing is told within a minute.
        FAREBOX_SECOND_LOOK_S: "10",
      },
      statements: schedulerStatements(state, settings, lake),
      // The next minute is the retry.
      asynchronous: { retryAttempts: 0, maxEventAge: Duration.seconds(60) },
    });
    const admin = new GatewayFunction(this, "Admin", settings, {
      description: "The admin API and the console.",
      memorySize: 256,
      timeout: Duration.seconds(28),
      environment: { ...http, ...alerts, ...signOn, FAREBOX_ADMIN_KEY_SECRET: state.adminKey.secretArn,
        FAREBOX_DEAD_LETTER_URL: state.deadLetterQueue.queueUrl },
      statements: adminStatements(state, settings),
    });

    // Not `SqsEventSource`: it would add grants of its own to the logger's role.
    new EventSourceMapping(this, "Settlements", {
      target: logger.lambda,
      eventSourceArn: state.queue.queueArn,
      batchSize: 10,
      maxBatchingWindow: Duration.seconds(1),
      reportBatchItemFailures: true,
      maxConcurrency: 10,
    });

    new Rule(this, "Minute", {
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [
        new LambdaFunction(scheduler.lambda, { retryAttempts: 0, maxEventAge: Duration.seconds(60) }),
      ],
    });

    const api = new RestApi(this, "Api", {
      restApiName: this.stackName,
      endpointTypes: [EndpointType.REGIONAL],
      // Its account-wide role for access logs is the account's own business.
      cloudWatchRole: false,
      deployOptions: { stageName: settings.stage },
    });
    for (const [type, code] of Object.entries(OWN_ANSWERS)) {
      const body = `{"error":{"code":"${code}","message":$context.error.messageString}}`;
      api.addGatewayResponse(type, { type: ResponseType.of(type), templates: { "application/json": body } });
    }
    const toChat = stream(chat.lambda, Duration.seconds(900));
    const toAdmin = stream(admin.lambda, Duration.seconds(29));
    const adminPath = api.root.addResource("admin");
    api.root.addMethod("ANY", toChat);
    api.root.addResource("{proxy+}").addMethod("ANY", toChat);
    adminPath.addMethod("ANY", toAdmin);
    adminPath.addResource("{proxy+}").addMethod("ANY", toAdmin);
    api.root.addResource("iam").addResource("admin").addResource("{proxy+}").addMethod("ANY", toAdmin, signed);

    alarms(this, state.deadLetterQueue, [chat, logger, scheduler, admin], settings.alarmTopic);

    const base = `https://${api.restApiId}.execute-api.${this.region}.${this.urlSuffix}/${settings.stage}`;
    const outputs: Record<string, string> = {
      BaseUrl: base,
      AdminUrl: `${base}/admin/v1`,
      AdminKeySecret: state.adminKey.secretArn,
      PepperSecret: state.pepper.secretArn,
      ...(pool && { UserPoolId: pool.id }),
      LedgerTable: state.ledger.tableName,
      MainTable: state.main.tableName,
      LogsTable: state.logs.tableName,
      QueueUrl: state.queue.queueUrl,
      DeadLetterQueueUrl: state.deadLetterQueue.queueUrl,
    };
    for (const [name, value] of Object.entries(outputs)) {
      new CfnOutput(this, name, { value });
    }
  }
}
