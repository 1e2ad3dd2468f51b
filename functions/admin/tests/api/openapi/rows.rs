//! What each route is called, takes and answers: the table that the description is made of.

use farebox_api as api;
use farebox_core::PriceSpec;
use farebox_core::pricing::Discount;
use schemars::JsonSchema;
use schemars::generate::SchemaGenerator;
use serde_json::{Map, Value};

use super::settlement::Settlement;

/// Writes a schema, or a reference to it.
pub type Shape = fn(&mut SchemaGenerator) -> Value;

/// What one route takes and answers.
pub struct Row {
    pub route: &'static str,
    /// What a client's library calls it.
    pub name: &'static str,
    pub summary: &'static str,
    pub body: Option<Shape>,
    pub status: u16,
    pub answer: Option<Shape>,
}

macro_rules! rows {
    ($(
        $route:literal $name:ident $summary:literal
        $(< $body:ty)? => $status:literal $($answer:ty)?,
    )*) => {
        &[$(Row {
            route: $route,
            name: stringify!($name),
            summary: $summary,
            body: rows!(@shape $($body)?),
            status: $status,
            answer: rows!(@shape $($answer)?),
        }),*]
    };
    (@shape) => { None };
    (@shape $shape:ty) => { Some(|made| made.subschema_for::<$shape>().to_value()) };
}

/// This document.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct OpenApi(#[expect(dead_code, reason = "only its shape is used")] Map<String, Value>);

/// What was said in a call.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is used")]
struct Content {
    /// The format that the caller used: `chat`, `messages`, `responses`, …
    endpoint: String,
    /// The body that the caller sent.
    request: Map<String, Value>,
    /// What was answered, a choice each; empty where nothing was.
    answer: Vec<Map<String, Value>>,
    /// What went wrong, where something did.
    error: Option<String>,
}

/// The file of a price list. What a row may say: `shared/core/CATALOG.md`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is used")]
struct PriceListFile {
    /// The day that the prices are of.
    #[schemars(regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    built_for: String,
    /// What the prices are in.
    #[schemars(extend("const" = "USD per 1000000 tokens; per_request and web_search in USD"))]
    unit: String,
    /// A model each.
    #[schemars(length(min = 1, max = 50_000))]
    rows: Vec<Map<String, Value>>,
}

/// With `by` the second, without it the first.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its shape is used")]
enum Usage {
    Scopes(api::UsageList),
    Sums(Box<api::UsageReport>),
}

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    "GET /admin/v1/users" listUsers
        "The users of the deployment" => 200 api::UserList,
    "GET /admin/v1/users/{id}" getUser
        "One user of the deployment" => 200 api::User,
    "PUT /admin/v1/users/{id}" putUser
        "Makes or replaces a user" < api::PutUser => 200 api::User,
    "GET /admin/v1/orgs" listOrgs
        "The organisations of the deployment" => 200 api::OrgList,
    "GET /admin/v1/orgs/{id}" getOrg
        "One organisation of the deployment" => 200 api::Org,
    "PUT /admin/v1/orgs/{id}" putOrg
        "Makes or replaces an organisation" < api::PutOrg => 200 api::Org,
    "GET /admin/v1/teams" listTeams
        "The teams of the deployment" => 200 api::TeamList,
    "GET /admin/v1/teams/{id}" getTeam
        "One team of the deployment" => 200 api::Team,
    "PUT /admin/v1/teams/{id}" putTeam
        "Makes or replaces a team" < api::PutTeam => 200 api::Team,
    "GET /admin/v1/keys" listKeys
        "The Farebox keys of users" => 200 api::KeyList,
    "POST /admin/v1/keys" createKey
        "Makes a Farebox key; its secret is shown once" < api::CreateKey => 201 api::CreatedKey,
    "GET /admin/v1/keys/{id}" getKey
        "A Farebox key" => 200 api::Key,
    "PUT /admin/v1/keys/{id}" putKey
        "Replaces what can be changed of a Farebox key" < api::PutKey => 200 api::Key,
    "DELETE /admin/v1/keys/{id}" revokeKey
        "Revokes a Farebox key" => 200 api::Key,
    "POST /admin/v1/keys/{id}/rotate" rotateKey
        "Gives a key another secret, which is shown once" < api::RotateKey => 200 api::CreatedKey,
    "GET /admin/v1/credentials" listCredentials
        "A user's credentials and its organisation's" => 200 api::CredentialList,
    "GET /admin/v1/credentials/{owner}/{provider}" getCredential
        "A credential without its secret" => 200 api::Credential,
    "PUT /admin/v1/credentials/{owner}/{provider}" storeCredential
        "Stores a credential" < api::PutCredential => 200 api::Credential,
    "DELETE /admin/v1/credentials/{owner}/{provider}" disableCredential
        "Disables and erases a credential" => 200 api::Credential,
    "GET /admin/v1/credentials/{owner}/{provider}/{name}" getNamedCredential
        "One of several credentials, without its secret" => 200 api::Credential,
    "PUT /admin/v1/credentials/{owner}/{provider}/{name}" storeNamedCredential
        "Stores one of several credentials" < api::PutCredential => 200 api::Credential,
    "DELETE /admin/v1/credentials/{owner}/{provider}/{name}" disableNamedCredential
        "Disables and erases one of several credentials" => 200 api::Credential,
    "GET /admin/v1/limits" listRateLimits
        "The rate limits that somebody has set" => 200 api::RateLimitsList,
    "GET /admin/v1/limits/{scope+}" getRateLimits
        "The rate limits of a user or a key" => 200 api::RateLimits,
    "PUT /admin/v1/limits/{scope+}" putRateLimits
        "Replaces the rate limits of a user or a key"
        < farebox_core::RateLimits => 200 api::RateLimits,
    "GET /admin/v1/budgets" listBudgets
        "Budgets of users, keys, organisations and teams" => 200 api::BudgetList,
    "GET /admin/v1/budgets/{scope+}" getBudget
        "A budget" => 200 api::Budget,
    "PUT /admin/v1/budgets/{scope+}" putBudget
        "Replaces a budget" < api::PutBudget => 200 api::Budget,
    "GET /admin/v1/usage" getUsage
        "What is spent in each scope, or what calls add up to" => 200 Usage,
    "GET /admin/v1/usage/days/{day}" getUsageOfDay
        "What each key and set of labels was charged on a day" => 200 api::UsageDay,
    "GET /admin/v1/models" listModels
        "Models of a provider, with the prices in force" => 200 api::ModelList,
    "GET /admin/v1/models/{provider}/{model+}" getModel
        "One model with the prices in force" => 200 api::Model,
    "GET /admin/v1/prices" listPrices
        "Prices of your own" => 200 api::PriceList,
    "GET /admin/v1/prices/{provider}/{model+}" getPrice
        "A price of your own" => 200 api::Price,
    "PUT /admin/v1/prices/{provider}/{model+}" putPrice
        "Sets a price of your own" < PriceSpec => 200 api::Price,
    "DELETE /admin/v1/prices/{provider}/{model+}" deletePrice
        "Takes a price of your own away" => 204,
    "GET /admin/v1/discounts" listDiscounts
        "What is taken off list prices" => 200 api::DiscountList,
    "GET /admin/v1/discounts/{target+}" getDiscount
        "A discount" => 200 api::Discount,
    "PUT /admin/v1/discounts/{target+}" putDiscount
        "Makes or replaces a discount" < Discount => 200 api::Discount,
    "DELETE /admin/v1/discounts/{target+}" deleteDiscount
        "Takes a discount away" => 204,
    "GET /admin/v1/catalogue" getCatalogue
        "The price list in force" => 200 api::Catalogue,
    "PUT /admin/v1/catalogue" importCatalogue
        "Imports a price list" < PriceListFile => 200 api::Catalogue,
    "DELETE /admin/v1/catalogue" dropCatalogue
        "Goes back to the list that the code was built with" => 204,
    "POST /admin/v1/catalogue/preview" previewCatalogue
        "What a price list would change" < PriceListFile => 200 api::CataloguePreview,
    "GET /admin/v1/catalogue/lists" listImportedCatalogues
        "Price lists that were imported" => 200 api::ImportedLists,
    "GET /admin/v1/catalogue/lists/{version}" previewImportedCatalogue
        "What an imported price list would change" => 200 api::CataloguePreview,
    "GET /admin/v1/catalogue/version" getCatalogueVersion
        "The price list in force" => 200 api::Catalogue,
    "PUT /admin/v1/catalogue/version" switchCatalogue
        "Puts an imported price list in force again"
        < api::PutCatalogueVersion => 200 api::Catalogue,
    "GET /admin/v1/quarantine" listQuarantinedModels
        "Models of which a call cost more than its hold" => 200 api::QuarantineList,
    "GET /admin/v1/quarantine/{provider}/{model+}" getQuarantinedModel
        "A model of which a call cost more than its hold" => 200 api::Quarantined,
    "DELETE /admin/v1/quarantine/{provider}/{model+}" releaseModel
        "Lets a model be called again" => 204,
    "GET /admin/v1/routes" listRoutes
        "Names that stand for several models" => 200 api::RouteList,
    "GET /admin/v1/routes/{name}" getRoute
        "One route with its targets" => 200 api::Route,
    "PUT /admin/v1/routes/{name}" putRoute
        "Makes or replaces a route" < farebox_core::Route => 200 api::Route,
    "DELETE /admin/v1/routes/{name}" deleteRoute
        "Takes a route away" => 204,
    "GET /admin/v1/webhook" getWebhook
        "Where alerts go" => 200 api::Webhook,
    "PUT /admin/v1/webhook" putWebhook
        "Sets where alerts go; the signing secret is shown once"
        < api::PutWebhook => 200 api::SetWebhook,
    "DELETE /admin/v1/webhook" deleteWebhook
        "Sends alerts nowhere" => 204,
    "GET /admin/v1/requests" listRequests
        "Calls, the newest first" => 200 api::RequestList,
    "GET /admin/v1/requests/{id}" getRequest
        "What one call did and cost, with its arithmetic" => 200 api::RequestRow,
    "GET /admin/v1/requests/{id}/content" getRequestContent
        "What was said in a call, where it is kept" => 200 Content,
    "GET /admin/v1/content-log" listContentLogs
        "Whose content is kept: the settings that somebody has made" => 200 api::ContentLogList,
    "GET /admin/v1/content-log/{scope+}" getContentLog
        "Whether the content of a user's or a key's calls is kept" => 200 api::ContentLog,
    "PUT /admin/v1/content-log/{scope+}" putContentLog
        "Keeps the content of calls from now on, or no more"
        < api::PutContentLog => 200 api::ContentLog,
    "DELETE /admin/v1/users/{id}/content" eraseUserContent
        "Erases what is kept of a user's content" => 200 api::ErasedContent,
    "GET /admin/v1/alerts" listAlerts
        "Alerts of all budgets, or of one" => 200 api::AlertList,
    "GET /admin/v1/alerts/channels" listAlertChannels
        "Where alerts go: one of each kind, so there is one page" => 200 api::ChannelList,
    "GET /admin/v1/alerts/operator" listOperatorAlerts
        "What the operator was told" => 200 api::OperatorAlertList,
    "GET /admin/v1/alerts/operator/{alert+}" getOperatorAlert
        "One thing that the operator was told" => 200 api::OperatorAlert,
    "DELETE /admin/v1/alerts/operator/{alert+}" acknowledgeOperatorAlert
        "Says that it was looked at: it stays, and is open no more" => 200 api::OperatorAlert,
    "POST /admin/v1/alerts/test" sendTestAlert
        "Sends an alert that tells nothing" < api::PostTestAlert => 201 api::Alert,
    "GET /admin/v1/corrections" listCorrections
        "Corrections that were entered" => 200 api::CorrectionList,
    "POST /admin/v1/corrections" enterCorrection
        "Corrects a scope's books or a call" < api::PostCorrection => 200 api::Correction,
    "POST /admin/v1/rerate" rerateCalls
        "What calls would cost at the present prices" < api::PostRerate => 200 api::Rerated,
    "POST /admin/v1/reconcile" reconcileReport
        "Lays a provider's usage report beside the books"
        < api::PostStatement => 200 api::Statement,
    "GET /admin/v1/charges" listCharges
        "What the log's rows of a month add up to" => 200 api::ChargeList,
    "GET /admin/v1/counters/{scope+}" getCounters
        "What a budget says of a month" => 200 api::Counters,
    "POST /admin/v1/settlements" replaySettlement
        "Sends the logger a record that only a function's log kept"
        < Settlement => 200 api::Enqueued,
    "POST /admin/v1/restore-fence" raiseEpochs
        "Raises the epochs of budgets after a restore" < api::RaiseEpochs => 200 api::RaisedEpochs,
    "GET /admin/v1/session" getSession
        "Who asks" => 200 api::Session,
    "GET /admin/v1/queues" getQueues
        "What waits behind the calls" => 200 api::Queues,
    "GET /admin/v1/openapi.json" getDescription
        "The description of this API" => 200 OpenApi,
    "GET /admin/v1/me" getMe
        "Who asks, and what the user may do for itself" => 200 api::Me,
    "GET /admin/v1/me/budgets" listMyBudgets
        "What the key's calls count to: a handful, so there is one page" => 200 api::BudgetList,
    "GET /admin/v1/me/requests" listMyRequests
        "The user's calls, the newest first" => 200 api::RequestList,
    "GET /admin/v1/me/requests/{id}" getMyRequest
        "What one call of the user did and cost" => 200 api::RequestRow,
    "GET /admin/v1/me/alerts" listMyAlerts
        "Alerts of the user or one of its keys" => 200 api::AlertList,
    "GET /admin/v1/me/keys" listMyKeys
        "The user's keys" => 200 api::KeyList,
    "POST /admin/v1/me/keys" createMyKey
        "Makes a key within what is allowed" < api::CreateOwnKey => 201 api::CreatedKey,
    "GET /admin/v1/me/keys/{id}" getMyKey
        "A key of the user" => 200 api::Key,
    "PUT /admin/v1/me/keys/{id}" putMyKey
        "Changes a key of the user within what is allowed" < api::PutOwnKey => 200 api::Key,
    "DELETE /admin/v1/me/keys/{id}" revokeMyKey
        "Revokes a key of the user" => 200 api::Key,
    "POST /admin/v1/me/keys/{id}/rotate" rotateMyKey
        "Gives a key of the user another secret, which is shown once"
        < api::RotateKey => 200 api::CreatedKey,
    "GET /admin/v1/me/credentials" listMyCredentials
        "The user's own credentials" => 200 api::CredentialList,
    "GET /admin/v1/me/credentials/{provider}" getMyCredential
        "A credential of the user's own, without its secret" => 200 api::Credential,
    "PUT /admin/v1/me/credentials/{provider}" storeMyCredential
        "Stores a credential of the user's own" < api::PutOwnCredential => 200 api::Credential,
    "DELETE /admin/v1/me/credentials/{provider}" disableMyCredential
        "Disables and erases a credential of the user's own" => 200 api::Credential,
    "GET /admin/v1/me/credentials/{provider}/{name}" getMyNamedCredential
        "One of several credentials of the user's own" => 200 api::Credential,
    "PUT /admin/v1/me/credentials/{provider}/{name}" storeMyNamedCredential
        "Stores one of several credentials of the user's own"
        < api::PutOwnCredential => 200 api::Credential,
    "DELETE /admin/v1/me/credentials/{provider}/{name}" disableMyNamedCredential
        "Disables and erases one of several credentials of the user's own" => 200 api::Credential,
    "GET /admin/v1/me/budget-requests" listMyBudgetRequests
        "The user's requests for more budget" => 200 api::BudgetRequestList,
    "POST /admin/v1/me/budget-requests" askForMyBudget
        "Asks for more budget" < api::AskBudget => 201 api::BudgetRequest,
    "GET /admin/v1/me/budget-requests/{id}" getMyBudgetRequest
        "A request of the user for more budget" => 200 api::BudgetRequest,
    "DELETE /admin/v1/me/budget-requests/{id}" withdrawMyBudgetRequest
        "Takes a request for more budget back" => 200 api::BudgetRequest,
    "GET /admin/v1/budget-requests" listBudgetRequests
        "Requests for more budget" => 200 api::BudgetRequestList,
    "GET /admin/v1/budget-requests/{user}/{id}" getBudgetRequest
        "A request for more budget" => 200 api::BudgetRequest,
    "PUT /admin/v1/budget-requests/{user}/{id}" decideBudgetRequest
        "Approves a request for more budget until an end, or denies it"
        < api::DecideBudget => 200 api::BudgetRequest,
    "GET /admin/v1/admin-keys" listAdminKeys
        "Admin keys besides the deployment's own" => 200 api::AdminKeyList,
    "POST /admin/v1/admin-keys" createAdminKey
        "Makes an admin key; its secret is shown once"
        < api::CreateAdminKey => 201 api::CreatedAdminKey,
    "GET /admin/v1/admin-keys/{id}" getAdminKey
        "An admin key" => 200 api::AdminKey,
    "DELETE /admin/v1/admin-keys/{id}" revokeAdminKey
        "Revokes an admin key" => 200 api::AdminKey,
    "POST /admin/v1/admin-keys/{id}/rotate" rotateAdminKey
        "Makes a successor and ends the key" < api::RotateAdminKey => 201 api::CreatedAdminKey,
    "GET /admin/v1/iam" listIamPrincipals
        "IAM principals with a role" => 200 api::PrincipalList,
    "GET /admin/v1/iam/{arn+}" getIamPrincipal
        "An IAM principal" => 200 api::Principal,
    "PUT /admin/v1/iam/{arn+}" putIamPrincipal
        "Gives an IAM principal a role" < api::PutPrincipal => 200 api::Principal,
    "DELETE /admin/v1/iam/{arn+}" deleteIamPrincipal
        "Takes the role of an IAM principal away" => 204,
    "GET /admin/v1/sso" listSignOnBindings
        "Addresses and groups that may sign in" => 200 api::BindingList,
    "GET /admin/v1/sso/{subject+}" getSignOnBinding
        "An address or a group" => 200 api::Binding,
    "PUT /admin/v1/sso/{subject+}" putSignOnBinding
        "Gives an address or a group a role; ends its sessions"
        < api::PutBinding => 200 api::Binding,
    "DELETE /admin/v1/sso/{subject+}" deleteSignOnBinding
        "Takes the role of an address or a group away; ends its sessions" => 204,
    "GET /admin/v1/sso-sessions" listSignOnSessions
        "Sessions of who has signed in" => 200 api::SsoSessionList,
    "GET /admin/v1/sso-sessions/{id}" getSignOnSession
        "A session of the console" => 200 api::SsoSession,
    "DELETE /admin/v1/sso-sessions/{id}" endSignOnSession
        "Ends a session of the console" => 200 api::SsoSession,
    "GET /admin/v1/audit" listAuditEntries
        "Who changed what, the newest first" => 200 api::AuditList,
};
