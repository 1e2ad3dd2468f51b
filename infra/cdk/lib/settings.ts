import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join, resolve } from "node:path";
import { Architecture } from "aws-cdk-lib/aws-lambda";
import { Node } from "constructs";

/** What an installation chooses. The same names, lower case first, as the parameters of the SAM template. */
export interface Settings {
  readonly stackName: string;
  readonly stage: string;
  readonly tenant: string;
  readonly architecture: Architecture;
  readonly logRetentionDays: number;
  readonly allowedOrigins: string;
  /** Deletion protection of the tables. */
  readonly protect: boolean;
  /** ARN of an SNS topic, or empty. */
  readonly alarmTopic: string;
  /** ARN of an SNS topic that alerts are published to, or empty. */
  readonly alertTopic: string;
  /** Address, verified in SES, that alerts are mailed from, or empty. */
  readonly alertSender: string;
  /** Addresses, separated by commas, that alerts are mailed to. */
  readonly alertRecipients: string;
  /** The https URL that browsers use, where a proxy stands before API Gateway, or empty. */
  readonly publicUrl: string;
  /** Issuer of the OpenID provider of the console, or empty. */
  readonly oidcIssuer: string;
  /** The console's client there. */
  readonly oidcClientId: string;
  /** ARN of the secret with the client's secret, or empty for a public client. */
  readonly oidcClientSecret: string;
  /** Scopes that the provider is asked for, with spaces. */
  readonly oidcScopes: string;
  /** The claim that lists a person's groups. */
  readonly oidcGroupsClaim: string;
  /** A name free in the region: makes a user pool of Cognito in place of `oidcIssuer`; or empty. */
  readonly signInDomain: string;
  /** Whether rows of past days are written to a bucket as Parquet files, with a table for Athena. */
  readonly lake: boolean;
  /** Addresses that each month's statement is mailed to, from `alertSender`, or empty. */
  readonly statementRecipients: string;
  /** Whose lines it has: org, team, user, key or label:NAME, then model or provider. */
  readonly statementBy: string;
  /** Folder with one folder a binary, each with its `bootstrap`. */
  readonly assetOf: (binary: string) => string;
}

/** Reads the settings from the context: `-c stage=prod -c architecture=x86_64`, or `cdk.json`. */
export function settingsFrom(node: Node): Settings {
  const text = (name: string, fallback: string): string => String(node.tryGetContext(name) ?? fallback);

  const architecture = architectureOf(text("architecture", "arm64"));
  const chosen = {
    stackName: text("stackName", "farebox"),
    stage: matching("stage", text("stage", "prod"), /^[a-z][a-z0-9]{0,15}$/),
    tenant: matching("tenant", text("tenant", "main"), /^[a-z][a-z0-9_]{0,31}$/),
    architecture,
    logRetentionDays: Number(matching("logRetentionDays", text("logRetentionDays", "30"), /^[1-9][0-9]*$/)),
    allowedOrigins: text("allowedOrigins", ""),
    protect: matching("protect", text("protect", "true"), /^(true|false)$/) === "true",
    alarmTopic: text("alarmTopic", ""),
    alertTopic: matching(
      "alertTopic",
      text("alertTopic", ""),
      /^(arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+([.]fifo)?)?$/,
    ),
    alertSender: matching("alertSender", text("alertSender", ""), /^([^@, ]+@[^@, ]+[.][^@, ]+)?$/),
    alertRecipients: text("alertRecipients", ""),
    publicUrl: matching("publicUrl", text("publicUrl", ""), /^(https:\/\/[^ ?#]+[^ ?#/])?$/),
    oidcIssuer: matching("oidcIssuer", text("oidcIssuer", ""), /^(https:\/\/[^ ?#]+)?$/),
    oidcClientId: text("oidcClientId", ""),
    oidcClientSecret: matching(
      "oidcClientSecret",
      text("oidcClientSecret", ""),
      /^(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)?$/,
    ),
    oidcScopes: matching("oidcScopes", text("oidcScopes", "openid email"), /^openid( [!-~]+)*$/),
    oidcGroupsClaim: matching("oidcGroupsClaim", text("oidcGroupsClaim", "groups"), /^[!-~]+$/),
    signInDomain: matching(
      "signInDomain",
      text("signInDomain", ""),
      /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$/,
    ),
    lake: matching("lake", text("lake", "false"), /^(true|false)$/) === "true",
    statementRecipients: text("statementRecipients", ""),
    statementBy: matching("statementBy", text("statementBy", "team,model"), /^[^ ]+$/),
    assetOf: assetsIn(process.env.FAREBOX_ASSETS ?? resolve(__dirname, "../../../../target/lambda"), architecture),
  };
  if (chosen.signInDomain && (!chosen.publicUrl || chosen.oidcIssuer || chosen.oidcClientSecret)) {
    throw new Error(
      "context signInDomain needs publicUrl (the output BaseUrl, or your own domain), and makes a provider: " +
        "oidcIssuer and oidcClientSecret stay empty",
    );
  }
  return chosen;
}

function matching(name: string, value: string, pattern: RegExp): string {
  if (!pattern.test(value)) {
    throw new Error(`context ${name}=${value} must match ${pattern.source}`);
  }
  return value;
}

function architectureOf(name: string): Architecture {
  switch (name) {
    case "arm64":
      return Architecture.ARM_64;
    case "x86_64":
      return Architecture.X86_64;
    default:
      throw new Error(`context architecture=${name} must be arm64 or x86_64`);
  }
}

/** What `e_machine` of an ELF file says, by the architecture's name. */
const MACHINES: Readonly<Record<string, number>> = { arm64: 183, x86_64: 62 };

/**
 * A missing build is an error and not a silent placeholder, and so is one for the other processor:
 * otherwise `cdk deploy` would put four functions on line that only fail. `FAREBOX_ASSETS=placeholder`
 * asks for placeholders.
 */
function assetsIn(folder: string, architecture: Architecture): (binary: string) => string {
  const build = `'cargo lambda build --release${architecture === Architecture.ARM_64 ? " --arm64" : ""}'`;
  return (binary) => {
    if (folder === "placeholder") {
      return resolve(__dirname, "../../placeholder");
    }
    const asset = join(folder, binary);
    const bootstrap = join(asset, "bootstrap");
    if (!existsSync(bootstrap)) {
      throw new Error(
        `${bootstrap} is missing: run ${build} first, or set FAREBOX_ASSETS=placeholder to synthesise without a build`,
      );
    }
    if (machineOf(bootstrap) !== MACHINES[architecture.name]) {
      throw new Error(
        `${bootstrap} is not built for ${architecture.name}: run ${build}, or choose the processor with -c architecture=…`,
      );
    }
    return asset;
  };
}

/** `e_machine` of an ELF file. */
function machineOf(file: string): number {
  const head = Buffer.alloc(20);
  const opened = openSync(file, "r");
  try {
    readSync(opened, head, 0, head.length, 0);
  } finally {
    closeSync(opened);
  }
  return head.readUInt16LE(18);
}
