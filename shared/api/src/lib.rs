//! The admin API's requests and answers, as they stand on the wire, and nothing else.
//!
//! Requests refuse unknown fields: a misspelt limit must never become "no limit". Money is a
//! decimal text of USD, time an RFC 3339 text in UTC. A secret appears in two requests
//! ([`PutCredential`], [`PutOwnCredential`]) and in three answers ([`CreatedKey`],
//! [`CreatedAdminKey`], [`SetWebhook`]), once; those five have no `Debug`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`access`] | who may: admin keys, IAM principals |
//! | [`audit`] | who changed what |
//! | [`limits`] | how much may be called at once and in a minute |
//! | [`owners`] | users and organisations |
//! | [`keys`] | Farebox keys |
//! | [`content`] | what was said, where it is kept |
//! | [`credentials`] | providers' credentials: written, never read back |
//! | [`books`] | the books put right |
//! | [`budgets`] | limits, what is spent of them, alerts |
//! | [`models`] | the models that there are |
//! | [`own`] | what members do for themselves |
//! | [`prices`] | the owner's own prices |
//! | [`routes`] | names that stand for several models |
//! | [`queues`] | what waits behind the calls |
//! | [`requests`] | what each call did and cost |
//! | [`usage`] | what calls add up to, and the month's statement of it |
//! | [`csv`] | lines that a spreadsheet opens |
//! | [`webhook`] | where alerts are delivered |
//! | [`error`] | refusals |

pub mod access;
pub mod audit;
pub mod books;
pub mod budgets;
pub mod content;
pub mod credentials;
pub mod csv;
pub mod error;
pub mod keys;
pub mod limits;
pub mod models;
pub mod own;
pub mod owners;
pub mod prices;
pub mod queues;
pub mod requests;
pub mod routes;
pub mod usage;
pub mod webhook;

pub use access::{
    AdminKey, AdminKeyList, Binding, BindingList, ConsoleSession, CreateAdminKey, CreatedAdminKey,
    Principal, PrincipalList, PutBinding, PutPrincipal, RotateAdminKey, Session, SignedOut,
    SsoSession, SsoSessionList,
};
pub use audit::{AuditEntry, AuditList};
pub use books::{
    Charge, ChargeList, Correction, CorrectionList, Counters, DayCounter, Enqueued, PostCorrection,
    PostRerate, PostStatement, RaiseEpochs, RaisedEpochs, ReportedUsage, RerateRow, Rerated,
    Statement, StatementBudget, StatementLine,
};
pub use budgets::{
    Alert, AlertChannel, AlertList, Budget, BudgetList, Channel, ChannelList, Nearest,
    OperatorAlert, OperatorAlertList, Period, PostTestAlert, PutBudget, ScopeUsage, Shares,
    UsageList,
};
pub use content::{ContentLog, ContentLogList, ErasedContent, PutContentLog};
pub use credentials::{Credential, CredentialList, PutCredential};
pub use error::{ErrorAnswer, ErrorBody};
pub use keys::{CreateKey, CreatedKey, Key, KeyList, KeyTimeouts, PutKey, PutOwnKey, RotateKey};
pub use limits::{RateLimits, RateLimitsList};
pub use models::{Model, ModelList, ModelPrices};
pub use own::{
    AskBudget, BudgetRequest, BudgetRequestList, CreateOwnKey, DecideBudget, Me, PutOwnCredential,
    SelfService,
};
pub use owners::{Org, OrgList, PutOrg, PutTeam, PutUser, Team, TeamList, User, UserList};
pub use prices::{
    Catalogue, CatalogueChange, CataloguePreview, Discount, DiscountList, ImportedList,
    ImportedLists, Price, PriceList, PutCatalogueVersion, QuarantineList, Quarantined,
};
pub use queues::Queues;
pub use requests::{CostLine, EarlierAttempt, RequestList, RequestRow, TokenCounts};
pub use routes::{Route, RouteList};
pub use usage::{UsageDay, UsageDayRow, UsageReport, UsageRow, UsageSums};
pub use webhook::{PutWebhook, SetWebhook, Webhook};

/// Where every path of the API begins.
pub const BASE_PATH: &str = "/admin/v1";
