import { RemovalPolicy, Stack } from "aws-cdk-lib";
import { CfnUserPool, CfnUserPoolClient, CfnUserPoolDomain } from "aws-cdk-lib/aws-cognito";
import { Settings } from "./settings";

/** People who sign in to the console. */
export class UserPool {
  readonly id: string;
  /** What the admin function must know of it. */
  readonly signOn: Record<string, string>;

  constructor(stack: Stack, settings: Settings) {
    const pool = new CfnUserPool(stack, "UserPool", {
      userPoolName: `${stack.stackName}-${settings.stage}`,
      deletionProtection: settings.protect ? "ACTIVE" : "INACTIVE",
      adminCreateUserConfig: { allowAdminCreateUserOnly: true },
      usernameAttributes: ["email"],
      autoVerifiedAttributes: ["email"],
      userAttributeUpdateSettings: { attributesRequireVerificationBeforeUpdate: ["email"] },
      accountRecoverySetting: { recoveryMechanisms: [{ name: "verified_email", priority: 1 }] },
      mfaConfiguration: "OPTIONAL",
      enabledMfas: ["SOFTWARE_TOKEN_MFA"],
    });
    pool.applyRemovalPolicy(RemovalPolicy.RETAIN);
    new CfnUserPoolDomain(stack, "UserPoolDomain", { domain: settings.signInDomain, userPoolId: pool.ref });
    const client = new CfnUserPoolClient(stack, "UserPoolClient", {
      clientName: "console",
      userPoolId: pool.ref,
      generateSecret: false,
      allowedOAuthFlowsUserPoolClient: true,
      allowedOAuthFlows: ["code"],
      allowedOAuthScopes: ["openid", "email"],
      supportedIdentityProviders: ["COGNITO"],
      // Not the API's own address: that needs the function, which needs the client.
      callbackUrLs: [`${settings.publicUrl}/admin/console/callback`],
      logoutUrLs: [`${settings.publicUrl}/admin/console`],
      preventUserExistenceErrors: "ENABLED",
    });
    this.id = pool.ref;
    this.signOn = {
      FAREBOX_OIDC_ISSUER: `https://cognito-idp.${stack.region}.${stack.urlSuffix}/${pool.ref}`,
      FAREBOX_OIDC_CLIENT_ID: client.ref,
      FAREBOX_OIDC_GROUPS_CLAIM: "cognito:groups",
    };
  }
}
