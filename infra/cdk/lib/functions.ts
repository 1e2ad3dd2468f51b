import { Duration, RemovalPolicy, Stack } from "aws-cdk-lib";
import { AuthorizationType, LambdaIntegration, ResponseTransferMode } from "aws-cdk-lib/aws-apigateway";
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from "aws-cdk-lib/aws-iam";
import { Code, EventInvokeConfigOptions, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { LogGroup } from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { allow } from "./policies";
import { Settings } from "./settings";

export interface GatewayFunctionProps {
  readonly description: string;
  readonly memorySize: number;
  readonly timeout: Duration;
  readonly environment: Record<string, string>;
  /** All that the role may do beside writing its own log. */
  readonly statements: PolicyStatement[];
  readonly asynchronous?: EventInvokeConfigOptions;
}

/** One function with its log group and its own role; `Chat` runs the binary `farebox-chat`. */
export class GatewayFunction extends Construct {
  readonly lambda: Function;
  readonly logs: LogGroup;

  constructor(stack: Stack, id: string, settings: Settings, props: GatewayFunctionProps) {
    super(stack, id);
    const name = id.toLowerCase();

    this.logs = new LogGroup(this, "Logs", {
      logGroupName: `/aws/lambda/${stack.stackName}-${name}`,
      retention: settings.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const print = allow("Print", ["logs:CreateLogStream", "logs:PutLogEvents"], [this.logs.logGroupArn]);
    const role = new Role(this, "Role", {
      assumedBy: new ServicePrincipal("lambda.amazonaws.com"),
      inlinePolicies: { [name]: new PolicyDocument({ statements: [print, ...props.statements] }) },
    });

    this.lambda = new Function(this, "Function", {
      functionName: `${stack.stackName}-${name}`,
      description: props.description,
      runtime: Runtime.PROVIDED_AL2023,
      architecture: settings.architecture,
      handler: "bootstrap",
      code: Code.fromAsset(settings.assetOf(`farebox-${name}`)),
      // Nothing is granted later: what a role may do stands in `policies.ts` alone.
      role: role.withoutPolicyUpdates(),
      memorySize: props.memorySize,
      timeout: props.timeout,
      environment: props.environment,
      logGroup: this.logs,
    });
    if (props.asynchronous) {
      this.lambda.configureAsyncInvoke(props.asynchronous);
    }
  }
}

/** API Gateway checks the signature (SigV4) before the function is asked. */
export const signed = { authorizationType: AuthorizationType.IAM };

/** An integration that streams: `STREAM` is CloudFormation's and CDK's word for it. */
export function stream(target: Function, timeout: Duration): LambdaIntegration {
  return new LambdaIntegration(target, {
    responseTransferMode: ResponseTransferMode.STREAM,
    timeout,
    allowTestInvoke: false,
  });
}
