//! The tables against the published schemas: a new revision shows what they lack.

use std::collections::BTreeSet;

use provost_testkit::spec;
use serde_json::{Value, json};

use super::super::answers::ANSWERS;
use super::super::subscribe::{Form, SUBSCRIPTIONS};
use super::*;
use crate::text::protocol::{Channel, FROM_AGENTS, FROM_SERVERS, LEGACY, MODERN, REQUESTS};

/// What stands in the table and not in the schema, each with its reason.
const BEYOND: &[&str] = &[
    // Said for the legacy era, and nothing says that a modern server may not use it.
    r#"modern: ["error","-32042",["data","elicitations"],"params of elicitation/create",null]"#,
    // A new task is a task: what a server says in it of its state is read, too.
    r#"modern: ["result","tools/call",["inputRequests"],"request","input_required"]"#,
    r#"modern: ["result","tools/call",["result"],"result","completed"]"#,
    r#"modern: ["result","tools/call",["error"],"error","failed"]"#,
];

type Said = BTreeSet<String>;

/// The revisions by era, and the extension that belongs to the modern one.
fn published() -> [(&'static str, Era, Value, Option<Value>); 2] {
    let mut all = spec::revisions();
    let revisions: Vec<&str> = all
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        revisions,
        [LEGACY[0], MODERN],
        "the newest revision of each era"
    );
    let (legacy, modern) = (all[LEGACY[0]].take(), all[MODERN].take());
    [
        ("legacy", Era::Legacy, legacy, None),
        ("modern", Era::Modern, modern, Some(spec::tasks())),
    ]
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
}

#[track_caller]
fn agree(what: &str, table: &Said, schema: &Said) {
    let lacks: Vec<&String> = schema.difference(table).collect();
    assert!(lacks.is_empty(), "the table of {what} lacks {lacks:#?}");
    let mut more: Vec<&String> = table.difference(schema).collect();
    more.retain(|entry| !BEYOND.contains(&entry.as_str()));
    assert!(more.is_empty(), "the schema has no such {what}: {more:#?}");
}

#[test]
fn d80_every_method_of_the_schema_is_known_in_its_direction() {
    for (name, era, schema, tasks) in published() {
        let of = |list: &Value| -> Said { texts(list).map(str::to_owned).collect() };
        let mut agent = of(&schema["requests"]["agent"]);
        let mut told = of(&schema["notifications"]["server"]);
        if let Some(tasks) = &tasks {
            agent.extend(of(&tasks["requests"]));
            told.extend(of(&tasks["notifications"]));
        }
        let in_era = |eras: &[Era]| eras.contains(&era);
        let requests = REQUESTS.iter().filter(|(eras, ..)| in_era(eras));
        let requests: Said = requests
            .map(|(_, method, _)| (*method).to_owned())
            .collect();
        agree(&format!("{name} requests of agents"), &requests, &agent);

        let asks = ASKS.iter().filter(|asks| in_era(asks.eras));
        let asks: Said = asks.map(|asks| asks.method.to_owned()).collect();
        let asked = match era {
            Era::Legacy => of(&schema["requests"]["server"]),
            Era::Modern => of(&schema["asks"]),
        };
        agree(&format!("{name} questions of servers"), &asks, &asked);

        let sent = FROM_AGENTS.iter().filter(|(eras, ..)| in_era(eras));
        let sent: Said = sent.map(|(_, method, _)| (*method).to_owned()).collect();
        let schemas = of(&schema["notifications"]["agent"]);
        agree(&format!("{name} notifications of agents"), &sent, &schemas);

        let modern = |channel: &Channel| (*channel == Channel::Session) == (era == Era::Legacy);
        let passes = |channels: &[Channel]| channels.iter().any(modern);
        let known = FROM_SERVERS
            .iter()
            .filter(|(channels, ..)| passes(channels));
        let mut known: Said = known.map(|(_, method, _)| (*method).to_owned()).collect();
        // Of its own questions, and of subscriptions: taken by name.
        known.insert("notifications/cancelled".to_owned());
        agree(&format!("{name} notifications of servers"), &known, &told);
    }
}

#[test]
fn d80_every_place_of_the_schema_is_in_the_table() {
    for (name, era, schema, tasks) in published() {
        // Without the sign for any key or element.
        let place = |place: &Value| {
            let path = texts(&place[2]).filter(|part| *part != "*");
            let path: Vec<&str> = path.collect();
            let status = place.get(4).cloned().unwrap_or_default();
            let entry = json!([place[0], place[1], path, place[3], status]);
            format!("{name}: {entry}")
        };
        let mut published: Said = schema["places"]
            .as_array()
            .unwrap()
            .iter()
            .map(place)
            .collect();
        if let Some(tasks) = &tasks {
            published.extend(tasks["places"].as_array().unwrap().iter().map(place));
            // What only some states of a task have, in each message that has a state.
            let carriers = published.clone();
            for detail in tasks["details"].as_array().unwrap() {
                let (status, member) = (&detail[0], detail[1].as_str().unwrap());
                let holds = match member {
                    "inputRequests" => "request",
                    other => other,
                };
                let entry = json!([[member], holds, status]).to_string();
                let entry = entry.trim_start_matches('[').to_owned();
                for carrier in [
                    r#"["result","tasks/get",["#,
                    r#"["notification","notifications/tasks",["#,
                ] {
                    let here = format!("{name}: {carrier}{entry}");
                    let known = carriers.iter().any(|other| other.contains(carrier));
                    assert!(known, "{carrier} carries tasks");
                    published.insert(here);
                }
            }
        }
        let row = |place: &Place| {
            let (carrier, of) = match place.carrier {
                Carrier::Result(of) => ("result", of),
                Carrier::Notification(of) => ("notification", of),
                Carrier::Error => ("error", ELICITATION_REQUIRED),
            };
            let holds = match place.holds {
                Holds::Requests => "request".to_owned(),
                Holds::ParamsOf(method, _) => format!("params of {method}"),
                Holds::FinalResult => "result".to_owned(),
                Holds::Error => "error".to_owned(),
            };
            let status = place.when.iter().find(|(member, _)| *member == "status");
            let status = status.map(|(_, status)| *status);
            format!("{name}: {}", json!([carrier, of, place.at, holds, status]))
        };
        let places = PLACES.iter().filter(|place| place.eras.contains(&era));
        let places: Said = places.map(row).collect();
        agree("places of questions", &places, &published);
    }
}

#[test]
fn d80_every_answer_and_subscription_of_the_schema_is_in_the_table() {
    for (name, era, schema, tasks) in published() {
        let mut published: Said = BTreeSet::new();
        let lists = [Some(&schema), tasks.as_ref()];
        for list in lists.into_iter().flatten() {
            let answers = list["answers"].as_array().unwrap().iter();
            published.extend(answers.map(Value::to_string));
        }
        let answers = ANSWERS.iter().filter(|_| era == Era::Modern);
        let rows = answers.map(|row| json!([row.method, [super::super::answers::AT]]).to_string());
        agree(&format!("{name} answers"), &rows.collect(), &published);

        let mut published: Said = BTreeSet::new();
        for (method, members) in schema["subscribes"].as_object().unwrap() {
            // Ending one decides nothing.
            let ends = method.ends_with("/unsubscribe");
            for member in members.as_array().unwrap().iter().filter(|_| !ends) {
                let leaf = texts(&member[0]).last().unwrap();
                published.insert(json!([method, leaf, member[1]]).to_string());
            }
        }
        for member in tasks
            .iter()
            .flat_map(|tasks| tasks["subscribes"].as_array().unwrap())
        {
            let entry = json!(["subscriptions/listen", member[0], member[1]]);
            published.insert(entry.to_string());
        }
        let mut table: Said = BTreeSet::new();
        for row in SUBSCRIPTIONS.iter().filter(|row| row.era == era) {
            for (member, form) in row.members {
                let form = match form {
                    Form::Text => "string",
                    Form::Flag => "boolean",
                    Form::Texts => "list of string",
                };
                table.insert(json!([row.method, member, form]).to_string());
            }
        }
        agree(&format!("{name} subscriptions"), &table, &published);
    }
}

/// The comparison would see what is missing.
#[test]
#[should_panic(expected = "lacks")]
fn d80_a_missing_row_is_named() {
    let schema: Said = ["a".to_owned(), "b".to_owned()].into();
    agree("anything", &["a".to_owned()].into(), &schema);
}
