import { RemovalPolicy, Stack } from "aws-cdk-lib";
import { CfnDatabase, CfnTable } from "aws-cdk-lib/aws-glue";
import { CfnBucket, CfnBucketPolicy } from "aws-cdk-lib/aws-s3";
import { Settings } from "./settings";

const INTEGER = { year: "2026,2045", month: "1,12", day: "1,31" };
const HIVE = "org.apache.hadoop.hive.ql.io.parquet";

/** What `functions/scheduler/src/lake/columns.rs` writes. */
const COLUMNS: readonly [string, string][] = [
  ["request_id", "string"],
  ["parent_id", "string"],
  ["started_at", "timestamp"],
  ["user_id", "string"],
  ["key_id", "string"],
  ["org_id", "string"],
  ["team_id", "string"],
  ["labels", "string"],
  ["endpoint", "string"],
  ["provider", "string"],
  ["model", "string"],
  ["model_served", "string"],
  ["service_tier", "string"],
  ["outcome", "string"],
  ["http_status", "bigint"],
  ["error_code", "string"],
  ["finish_reason", "string"],
  ["streamed", "bigint"],
  ["client_gone", "bigint"],
  ["prompt_tokens", "bigint"],
  ["cached_tokens", "bigint"],
  ["cache_write_tokens", "bigint"],
  ["completion_tokens", "bigint"],
  ["reasoning_tokens", "bigint"],
  ["charged_usd", "decimal(38,12)"],
  ["hold_usd", "decimal(38,12)"],
  ["input_usd", "decimal(38,12)"],
  ["output_usd", "decimal(38,12)"],
  ["fees_usd", "decimal(38,12)"],
  ["provider_usd", "decimal(38,12)"],
  ["price_version", "string"],
  ["corrects", "string"],
  ["response_ms", "bigint"],
  ["first_token_ms", "bigint"],
  ["credential_owner", "string"],
];

/** Rows of past days, for Athena. */
export class Lake {
  readonly bucket: CfnBucket;

  constructor(stack: Stack, settings: Settings) {
    this.bucket = new CfnBucket(stack, "LakeBucket", {
      bucketEncryption: {
        serverSideEncryptionConfiguration: [{ serverSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
      },
      ownershipControls: { rules: [{ objectOwnership: "BucketOwnerEnforced" }] },
      publicAccessBlockConfiguration: {
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
    });
    this.bucket.applyRemovalPolicy(RemovalPolicy.RETAIN);
    const everything = [this.bucket.attrArn, `${this.bucket.attrArn}/*`];
    new CfnBucketPolicy(stack, "LakeBucketPolicy", {
      bucket: this.bucket.ref,
      policyDocument: {
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "TlsOnly",
            Effect: "Deny",
            Principal: "*",
            Action: "s3:*",
            Resource: everything,
            Condition: { Bool: { "aws:SecureTransport": "false" } },
          },
        ],
      },
    });
    const database = new CfnDatabase(stack, "LakeDatabase", {
      catalogId: stack.account,
      databaseInput: { name: `${stack.stackName}-${settings.stage}` },
    });
    new CfnTable(stack, "LakeTable", {
      catalogId: stack.account,
      databaseName: database.ref,
      tableInput: this.table(),
    });
  }

  private table(): CfnTable.TableInputProperty {
    const parameters: Record<string, string> = { classification: "parquet", "projection.enabled": "true" };
    for (const [name, range] of Object.entries(INTEGER)) {
      parameters[`projection.${name}.type`] = "integer";
      parameters[`projection.${name}.range`] = range;
      if (name !== "year") {
        parameters[`projection.${name}.digits`] = "2";
      }
    }
    const location = `s3://${this.bucket.ref}/rows/`;
    parameters["storage.location.template"] = `${location}year=\${year}/month=\${month}/day=\${day}/`;
    return {
      name: "rows",
      tableType: "EXTERNAL_TABLE",
      parameters,
      partitionKeys: Object.keys(INTEGER).map((name) => ({ name, type: "int" })),
      storageDescriptor: {
        location,
        inputFormat: `${HIVE}.MapredParquetInputFormat`,
        outputFormat: `${HIVE}.MapredParquetOutputFormat`,
        serdeInfo: { serializationLibrary: `${HIVE}.serde.ParquetHiveSerDe` },
        columns: COLUMNS.map(([name, type]) => ({ name, type })),
      },
    };
  }
}
