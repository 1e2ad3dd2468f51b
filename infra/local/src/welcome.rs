//! What a newcomer reads.

use std::io::Write;

use crate::options::{Options, RealProvider};
use crate::seed::USER;
use crate::stack::Ready;

/// Prints where everything is: for people, or one line of JSON.
pub fn tell(options: &Options, ready: &Ready, real: &[RealProvider]) {
    let text = if options.json {
        serde_json::to_string(ready).unwrap_or_default()
    } else if options.services {
        services(options, ready)
    } else {
        people(options, ready, real)
    };
    let mut stdout = std::io::stdout().lock();
    // A closed standard output is no reason to stop serving.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Says that the samples take a moment.
pub fn make_patient() {
    // A closed standard output is no reason to stop.
    let _ = writeln!(std::io::stdout(), "Making a week of sample calls to the demo provider …");
}

fn services(options: &Options, ready: &Ready) -> String {
    format!(
        "Services are ready: DynamoDB {}, SQS and Secrets Manager {}, demo provider {}.\n\
         The demo user's key: {}\n\
         cargo lambda watch --env-file {}/env farebox-chat\n\
         Stop with Ctrl-C.",
        ready.dynamodb_url,
        ready.services_url,
        ready.demo_provider_url,
        ready.key,
        options.state.display()
    )
}

fn people(options: &Options, ready: &Ready, real: &[RealProvider]) -> String {
    let Ready { base_url, key, admin_key, console_url, iam_secret, .. } = ready;
    let mut text = format!(
        r#"
Farebox runs at {base_url}

  console    {console_url}#key={admin_key}

  key        {key}
  admin key  {admin_key}

Try it:

  curl -s {base_url}/v1/chat \
    -H "Authorization: Bearer {key}" -H "Content-Type: application/json" \
    -d '{{"provider":"demo","model":"chat","messages":[{{"role":"user","content":"Hello!"}}]}}'

With the OpenAI SDK:

  from openai import OpenAI
  client = OpenAI(base_url="{base_url}/v1", api_key="{key}")
  answer = client.chat.completions.create(
      model="demo/chat", messages=[{{"role": "user", "content": "Hello!"}}]
  )
  print(answer.choices[0].message.content)

The demo user may spend 1 USD a day. The admin's command:

  cargo farebox login --url {base_url}      # asks for the admin key
  cargo farebox budget show user:demo

The same as an IAM user, whose name is what you like, without an account of AWS:

  cargo farebox iam grant arn:aws:iam::000000000000:user/ops --role admin
  AWS_ACCESS_KEY_ID=AKIALOCALOPS AWS_SECRET_ACCESS_KEY={iam_secret} FAREBOX_AUTH=iam \
    cargo farebox budget show user:demo
"#
    );
    text.push_str(&real_money(ready, real));
    if !options.ephemeral {
        let dir = options.state.display();
        text.push_str(&format!(
            "\nEverything is kept in {dir}: the next start finds it. Delete it to begin anew.\n"
        ));
    }
    if let Some(log) = &ready.functions_log {
        text.push_str(&format!("\nThe functions log to {}.\n", log.display()));
    }
    text.push_str("Stop with Ctrl-C.\n");
    text
}

/// What costs real money, and why: a key of an earlier start is as good as one of this.
fn real_money(ready: &Ready, real: &[RealProvider]) -> String {
    let lines = ready.real_money.iter().map(|name| {
        let why = match real.iter().find(|provider| provider.name == name) {
            Some(provider) => format!("{} is set", provider.variable),
            None => format!("a key for {name} is kept from before"),
        };
        format!(
            "\n  !! REAL MONEY: {why}: calls to models of {name} are real and billed to you.\n     \
             cargo farebox credential disable {USER} {name}      # erases the key\n"
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_start_is_told_as_loudly_as_one_of_this() {
        let ready = Ready {
            real_money: vec!["anthropic".to_owned(), "openai".to_owned()],
            ..Ready::default()
        };
        let real = crate::options::real_providers(|name| {
            (name == "OPENAI_API_KEY").then(|| "sk-canary".to_owned())
        });

        let told = real_money(&ready, &real);

        assert!(told.contains("!! REAL MONEY: OPENAI_API_KEY is set"), "{told}");
        assert!(told.contains("!! REAL MONEY: a key for anthropic is kept from before"), "{told}");
        assert!(told.contains("cargo farebox credential disable demo anthropic"), "{told}");
        assert!(!told.contains("canary"), "{told}");
        assert_eq!(real_money(&Ready::default(), &real), "");
    }
}
