//! Routes: names that stand for several models.

use farebox_api::{Route as Shown, RouteList};
use farebox_aws::control::RouteRow;
use farebox_core::{Error, Route, route};

use crate::Gate;
use crate::call::Call;
use crate::owners::absent;
use crate::reply::{Answer, Refusal};

/// `GET /admin/v1/routes`
pub async fn list(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let page = gate.control.routes(call.limit()?, call.cursor()).await?;
    let routes: Result<Vec<_>, _> =
        page.rows.into_iter().map(|row| shown(row, Vec::new())).collect();
    Answer::ok(&RouteList { routes: routes?, next_cursor: page.next })
}

/// `GET /admin/v1/routes/{name}`
pub async fn show(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let row = gate.control.route(name(call)?).await?.ok_or_else(|| absent(call))?;
    answer(gate, row).await
}

/// `PUT /admin/v1/routes/{name}`
pub async fn put(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    let name = name(call)?;
    let route: Route = call.body()?;
    route.check()?;
    // Before it is stored, so that a wrong name is refused and not told as a warning.
    warnings(gate, &route).await?;
    let row = gate.control.put_route(name, &route, call.expected()).await?;
    answer(gate, row.ok_or_else(|| call.raced())?).await
}

/// `DELETE /admin/v1/routes/{name}`
pub async fn delete(gate: &Gate, call: &Call) -> Result<Answer, Refusal> {
    if gate.control.delete_route(name(call)?, call.expected()).await? {
        return Ok(Answer::empty());
    }
    Err(call.raced().into())
}

fn name(call: &Call) -> Result<&str, Error> {
    let name = call.parameter("name");
    route::check_name(name).map(|()| name)
}

async fn answer(gate: &Gate, row: RouteRow) -> Result<Answer, Refusal> {
    let warnings = warnings(gate, &row.route).await?;
    Answer::thing(&shown(row, warnings)?)
}

/// What stands in the way of calls to the targets.
///
/// # Errors
/// [`Error::Malformed`] names a target whose provider or model nobody knows.
async fn warnings(gate: &Gate, route: &Route) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    let prices = gate.control.prices_in_force().await?;
    for (at, target) in route.targets.iter().enumerate() {
        let field = || format!("targets[{at}].model");
        let (provider, name) = target.parts().unwrap_or_default();
        if farebox_providers::find(provider).is_none() {
            return Err(Error::malformed(field(), format!("{provider:?} is no provider")));
        }
        let model = prices.at(gate.aws().now()).model(provider, name);
        let Some(model) = model else {
            let rule = format!("{name} is neither in the catalogue nor has it a price of yours");
            return Err(Error::malformed(field(), rule));
        };
        let model_name = &target.model;
        if model.price.is_none() {
            warnings.push(format!("{model_name} has no price, so calls pass it by: set one."));
        }
        if prices.is_quarantined(provider, name) {
            warnings.push(format!("{model_name} is quarantined: hard budgets refuse its calls."));
        }
    }
    Ok(warnings)
}

fn shown(row: RouteRow, warnings: Vec<String>) -> Result<Shown, Error> {
    let spec = serde_json::to_value(&row.route).map_err(Error::internal)?;
    Ok(Shown { name: row.name, version: row.version.to_string(), spec, warnings })
}
