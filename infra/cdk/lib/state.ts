import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import {
  Attribute,
  AttributeType,
  BillingMode,
  ProjectionType,
  Table,
  TableEncryption,
} from "aws-cdk-lib/aws-dynamodb";
import { Secret } from "aws-cdk-lib/aws-secretsmanager";
import { Queue, QueueEncryption } from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { Settings } from "./settings";

const text = (name: string): Attribute => ({ name, type: AttributeType.STRING });
const number = (name: string): Attribute => ({ name, type: AttributeType.NUMBER });

/** Where state lives: three tables, the queue and its dead letters, two generated secrets. */
export class State extends Construct {
  readonly ledger: Table;
  readonly main: Table;
  readonly logs: Table;
  readonly queue: Queue;
  readonly deadLetterQueue: Queue;
  readonly pepper: Secret;
  readonly adminKey: Secret;
  /** Names of the credentials' secrets begin with it. */
  readonly secretPrefix: string;

  constructor(stack: Stack, settings: Settings) {
    super(stack, "State");
    this.secretPrefix = `${stack.stackName}/${settings.stage}`;

    this.ledger = table(this, "LedgerTable", settings);
    this.main = table(this, "MainTable", settings);
    this.main.addGlobalSecondaryIndex({
      indexName: "due",
      partitionKey: text("due"),
      sortKey: number("at"),
      projectionType: ProjectionType.KEYS_ONLY,
    });
    this.logs = table(this, "LogsTable", settings);
    this.logs.addGlobalSecondaryIndex({
      indexName: "bykey",
      partitionKey: text("keyid"),
      sortKey: text("rid"),
      projectionType: ProjectionType.KEYS_ONLY,
    });
    this.logs.addGlobalSecondaryIndex({
      indexName: "byday",
      partitionKey: text("d"),
      sortKey: text("rid"),
      projectionType: ProjectionType.KEYS_ONLY,
    });

    this.deadLetterQueue = new Queue(this, "DeadLetterQueue", {
      retentionPeriod: Duration.days(14),
      encryption: QueueEncryption.SQS_MANAGED,
    });
    this.queue = new Queue(this, "Queue", {
      deliveryDelay: Duration.seconds(2),
      visibilityTimeout: Duration.seconds(120),
      retentionPeriod: Duration.days(4),
      encryption: QueueEncryption.SQS_MANAGED,
      deadLetterQueue: { queue: this.deadLetterQueue, maxReceiveCount: 5 },
    });

    this.pepper = new Secret(this, "Pepper", {
      description: "Farebox pepper under which API keys are stored. Losing it voids every key.",
      generateSecretString: { passwordLength: 64, excludePunctuation: true },
      removalPolicy: RemovalPolicy.RETAIN,
    });
    this.adminKey = new Secret(this, "AdminKey", {
      description: "Farebox first admin key. Put a new value to replace the key.",
      generateSecretString: { passwordLength: 43, excludePunctuation: true },
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}

function table(scope: Construct, id: string, settings: Settings): Table {
  return new Table(scope, id, {
    partitionKey: text("pk"),
    sortKey: text("sk"),
    billingMode: BillingMode.PAY_PER_REQUEST,
    encryption: TableEncryption.AWS_MANAGED,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    timeToLiveAttribute: "ttl",
    deletionProtection: settings.protect,
    removalPolicy: RemovalPolicy.RETAIN,
  });
}
