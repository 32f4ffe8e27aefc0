//! Is our protocol a subset of TiKV's? Compared are names, numbers, types, labels and rpc signatures.
//!
//! Being a subset is what makes the two compatible: a field that we leave out is skipped when we read it and
//! has its default when they do.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};

use crate::{generate, reference};

/// What the reference does not have because it is ours alone: the compare-and-swap command. It stands in log
/// entries only, and no other program reads those.
const OURS: [&str; 5] = [
    "raft_cmdpb.CompareAndSwapRequest",
    "raft_cmdpb.CompareAndSwapResponse",
    "raft_cmdpb.CmdType.CompareAndSwap",
    "raft_cmdpb.Request.compare_and_swap",
    "raft_cmdpb.Response.compare_and_swap",
];

/// Compares `dir` with the reference and prints every difference, then the counts.
pub fn run(dir: &Path) -> Result<()> {
    let ours = generate::compile(dir)?;
    let names: Vec<&str> = ours.file.iter().map(|file| file.name()).collect();
    let theirs = reference::compile(&names)?;
    let report = compare(&Index::new(&ours), &Index::new(&theirs));
    for difference in &report.differences {
        println!("{difference}");
    }
    println!(
        "{} messages, {} fields, {} enums, {} enum values, {} rpcs checked, {} of them ours alone; {} differences",
        report.messages,
        report.fields,
        report.enums,
        report.enum_values,
        report.rpcs,
        report.ours,
        report.differences.len()
    );
    if report.messages == 0 || report.rpcs == 0 {
        bail!("nothing was compared: are the protocol files where they should be?");
    }
    if !report.differences.is_empty() {
        bail!("src/proto is not a subset of the reference protocol");
    }
    Ok(())
}

/// Everything that a descriptor set declares, by full name.
#[derive(Default)]
struct Index<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    services: BTreeMap<String, &'a ServiceDescriptorProto>,
}

impl<'a> Index<'a> {
    fn new(set: &'a FileDescriptorSet) -> Index<'a> {
        let mut index = Index::default();
        for file in &set.file {
            let package = file.package();
            for message in &file.message_type {
                index.add_message(package, message);
            }
            for item in &file.enum_type {
                index.enums.insert(full_name(package, item.name()), item);
            }
            for service in &file.service {
                index.services.insert(full_name(package, service.name()), service);
            }
        }
        index
    }

    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = full_name(scope, message.name());
        for inner in &message.nested_type {
            self.add_message(&name, inner);
        }
        for item in &message.enum_type {
            self.enums.insert(full_name(&name, item.name()), item);
        }
        self.messages.insert(name, message);
    }
}

fn full_name(scope: &str, name: &str) -> String {
    format!("{scope}.{name}")
}

#[derive(Default)]
struct Report {
    messages: usize,
    fields: usize,
    enums: usize,
    enum_values: usize,
    rpcs: usize,
    ours: usize,
    differences: Vec<String>,
}

fn compare(ours: &Index, theirs: &Index) -> Report {
    let mut report = Report::default();
    for (name, message) in &ours.messages {
        report.messages += 1;
        match theirs.messages.get(name) {
            Some(reference) => report.compare_fields(name, message, reference),
            None => report.missing("message", name),
        }
    }
    for (name, item) in &ours.enums {
        report.enums += 1;
        match theirs.enums.get(name) {
            Some(reference) => report.compare_enum_values(name, item, reference),
            None => report.missing("enum", name),
        }
    }
    for (name, service) in &ours.services {
        match theirs.services.get(name) {
            Some(reference) => report.compare_rpcs(name, service, reference),
            None => report.missing("service", name),
        }
    }
    report
}

impl Report {
    fn missing(&mut self, kind: &str, name: &str) {
        if OURS.contains(&name) {
            self.ours += 1;
            return;
        }
        self.differences.push(format!("{kind} {name}: the reference has none of that name"));
    }

    fn differs(&mut self, kind: &str, name: &str, ours: &str, theirs: &str) {
        self.differences.push(format!("{kind} {name}: ours is `{ours}`, the reference's is `{theirs}`"));
    }

    fn compare_fields(&mut self, scope: &str, ours: &DescriptorProto, theirs: &DescriptorProto) {
        for field in &ours.field {
            self.fields += 1;
            let name = full_name(scope, field.name());
            match theirs.field.iter().find(|f| f.name() == field.name()) {
                None => self.missing("field", &name),
                Some(reference) if describe_field(reference) != describe_field(field) => {
                    self.differs("field", &name, &describe_field(field), &describe_field(reference));
                }
                Some(_) => {}
            }
        }
    }

    fn compare_enum_values(&mut self, scope: &str, ours: &EnumDescriptorProto, theirs: &EnumDescriptorProto) {
        for value in &ours.value {
            self.enum_values += 1;
            let name = full_name(scope, value.name());
            match theirs.value.iter().find(|v| v.name() == value.name()) {
                None => self.missing("enum value", &name),
                Some(reference) if reference.number() != value.number() => {
                    let (ours, theirs) = (value.number().to_string(), reference.number().to_string());
                    self.differs("enum value", &name, &ours, &theirs);
                }
                Some(_) => {}
            }
        }
    }

    fn compare_rpcs(&mut self, scope: &str, ours: &ServiceDescriptorProto, theirs: &ServiceDescriptorProto) {
        for rpc in &ours.method {
            self.rpcs += 1;
            let name = full_name(scope, rpc.name());
            match theirs.method.iter().find(|m| m.name() == rpc.name()) {
                None => self.missing("rpc", &name),
                Some(reference) if describe_rpc(reference) != describe_rpc(rpc) => {
                    self.differs("rpc", &name, &describe_rpc(rpc), &describe_rpc(reference));
                }
                Some(_) => {}
            }
        }
    }
}

/// What both sides must agree on, such as `repeated message .metapb.Peer = 5`.
fn describe_field(field: &FieldDescriptorProto) -> String {
    let label = field.label().as_str_name().trim_start_matches("LABEL_").to_lowercase();
    let kind = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
    let type_name = field.type_name.as_deref().map_or(String::new(), |name| format!(" {name}"));
    format!("{label} {kind}{type_name} = {}", field.number())
}

fn describe_rpc(rpc: &MethodDescriptorProto) -> String {
    let stream = |yes| if yes { "stream " } else { "" };
    format!(
        "({}{}) -> {}{}",
        stream(rpc.client_streaming()),
        rpc.input_type(),
        stream(rpc.server_streaming()),
        rpc.output_type()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(text: &str) -> FileDescriptorSet {
        let file =
            protox::file::File::from_source("t.proto", text).expect("the test's own protocol is valid");
        FileDescriptorSet { file: vec![file.into()] }
    }

    fn differences(ours: &str, theirs: &str) -> Vec<String> {
        let wrap = |body: &str| descriptors(&format!("syntax = \"proto3\"; package p; {body}"));
        compare(&Index::new(&wrap(ours)), &Index::new(&wrap(theirs))).differences
    }

    #[test]
    fn a_subset_has_no_differences() {
        let ours = "message M { uint64 a = 1; }";
        let theirs = "message M { uint64 a = 1; bytes b = 2; } message N {}";
        assert_eq!(differences(ours, theirs), Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_difference_is_seen() {
        let reference = "message M { uint64 a = 1; } enum E { X = 0; Y = 1; } \
                         service S { rpc R(M) returns (stream M) {} }";
        for (ours, expected) in [
            ("message N {}", "message p.N: the reference has none"),
            ("message M { uint64 b = 1; }", "field p.M.b: the reference has none"),
            ("message M { uint64 a = 2; }", "field p.M.a: ours is `optional uint64 = 2`"),
            ("message M { uint32 a = 1; }", "field p.M.a: ours is `optional uint32 = 1`"),
            ("message M { repeated uint64 a = 1; }", "field p.M.a: ours is `repeated uint64 = 1`"),
            ("enum E { X = 0; Y = 2; }", "enum value p.E.Y: ours is `2`"),
            ("enum E { Z = 0; }", "enum value p.E.Z: the reference has none"),
            ("message M {} service S { rpc R(M) returns (M) {} }", "rpc p.S.R: ours is"),
            ("message M {} service S { rpc Q(M) returns (M) {} }", "rpc p.S.Q: the reference has none"),
        ] {
            let found = differences(ours, reference);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{ours}: {found:?}");
        }
    }
}
