// Entry point: `npm run synth` (offline, with placeholders), or `cdk deploy` after a release build.
import { App } from "aws-cdk-lib";
import { FareboxStack } from "./lib/farebox-stack";
import { settingsFrom } from "./lib/settings";

const app = new App({ analyticsReporting: false });
const settings = settingsFrom(app.node);

new FareboxStack(app, settings.stackName, settings);
app.synth();
