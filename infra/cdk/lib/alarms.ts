import { Duration, Stack } from "aws-cdk-lib";
import { Alarm, ComparisonOperator, IMetric, MathExpression, Metric, TreatMissingData } from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import { FilterPattern, MetricFilter } from "aws-cdk-lib/aws-logs";
import { Topic } from "aws-cdk-lib/aws-sns";
import { Queue } from "aws-cdk-lib/aws-sqs";
import { GatewayFunction } from "./functions";

/** Settlements that need a person, whether dead letters or lines of a log alone; faults that a log tells; functions that crash. */
export function alarms(stack: Stack, deadLetters: Queue, functions: GatewayFunction[], topicArn: string): void {
  const usingMetrics: Record<string, IMetric> = {};
  for (const one of functions) {
    usingMetrics[one.node.id.toLowerCase()] = one.lambda.metricErrors();
  }
  const unsent = { metricNamespace: `Farebox/${stack.stackName}`, metricName: "UnsentSettlements" };
  for (const one of functions.filter((one) => one.node.id !== "Logger")) {
    new MetricFilter(stack, `${one.node.id}Unsent`, {
      logGroup: one.logs,
      filterPattern: FilterPattern.literal('"farebox.settlement.v1"'),
      metricValue: "1",
      ...unsent,
    });
  }
  const faults = { metricNamespace: `Farebox/${stack.stackName}`, metricName: "Faults" };
  for (const one of functions) {
    new MetricFilter(stack, `${one.node.id}Faults`, {
      logGroup: one.logs,
      filterPattern: FilterPattern.literal('{ ($.level = "ERROR") && ($.fields.metric = "*") }'),
      metricValue: "1",
      ...faults,
    });
  }
  for (const one of functions.filter((one) => one.node.id === "Chat")) {
    new MetricFilter(stack, "ChatOddities", {
      logGroup: one.logs,
      filterPattern: FilterPattern.literal('{ ($.fields.metric = "provider_fault") || ($.fields.metric = "usage_missing") }'),
      metricValue: "1",
      metricNamespace: `Farebox/${stack.stackName}`,
      metricName: "ProviderOddities",
    });
  }
  const all = [
    new Alarm(stack, "DeadLetterAlarm", {
      alarmDescription: "Settlement events have failed five times. See docs/operations.md.",
      metric: deadLetters.metricApproximateNumberOfMessagesVisible({ period: Duration.minutes(1) }),
      ...whenAny,
    }),
    new Alarm(stack, "UnsentSettlementAlarm", {
      alarmDescription: "A settlement stands in a function's log alone. Replay it; see docs/operations.md.",
      metric: new Metric({
        namespace: unsent.metricNamespace,
        metricName: unsent.metricName,
        statistic: "Sum",
        period: Duration.minutes(1),
      }),
      ...whenAny,
    }),
    new Alarm(stack, "FaultAlarm", {
      alarmDescription: "A function's log says what is wrong, in a line of level ERROR with a metric. See docs/operations.md.",
      metric: new Metric({
        namespace: faults.metricNamespace,
        metricName: faults.metricName,
        statistic: "Sum",
        period: Duration.minutes(1),
      }),
      ...whenAny,
    }),
    new Alarm(stack, "ErrorAlarm", {
      alarmDescription: "A function crashed or ran out of time. See docs/operations.md.",
      metric: new MathExpression({
        expression: "SUM(METRICS())",
        label: "Errors of all functions",
        usingMetrics,
        period: Duration.minutes(5),
      }),
      ...whenAny,
    }),
  ];

  if (topicArn !== "") {
    const notify = new SnsAction(Topic.fromTopicArn(stack, "AlarmTopic", topicArn));
    all.forEach((alarm) => alarm.addAlarmAction(notify));
  }
}

const whenAny = {
  evaluationPeriods: 1,
  threshold: 0,
  comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
  treatMissingData: TreatMissingData.NOT_BREACHING,
};
