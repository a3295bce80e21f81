//! An explanation as text. Lines that begin a section are not indented, all others are.

use super::{
    Block, CopyWords, Destination, Explanation, Out, PathWords, SourceWords, StageWords, StepWords, delivery,
};
use std::fmt;

/// Columns that a label takes.
const LABEL: usize = 12;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Pipeline {}", self.pipeline)?;
        if let Some(description) = &self.description {
            writeln!(f, "  {description}")?;
        }
        labelled(f, "workers", &[self.workers.to_string()])?;
        self.sources.iter().try_for_each(|source| write_source(f, source, self.workers))?;
        for (number, stage) in self.stages.iter().enumerate() {
            write_stage(f, number + 1, stage)?;
        }
        if !self.free.is_empty() {
            writeln!(f, "\nNodes that cost nothing: they only name fields anew\n  {}", self.free.join(", "))?;
        }
        if !self.unread.is_empty() {
            writeln!(f, "\nPorts that nobody reads: what leaves there is counted and dropped")?;
            self.unread.iter().try_for_each(|port| writeln!(f, "  {port}"))?;
        }
        if !self.plugins.is_empty() {
            writeln!(f, "\nPlugins")?;
        }
        for (script, all) in &self.plugins {
            let all = if all.is_empty() { "registers nothing".to_owned() } else { all.join(", ") };
            writeln!(f, "  {script}: {all}")?;
        }
        self.write_state(f)?;
        self.write_delivery(f)
    }
}

impl Explanation {
    fn write_state(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.state.is_empty() {
            return Ok(());
        }
        let place = if self.lasting { "in memory, and at each checkpoint on disk" } else { "in memory only" };
        writeln!(f, "\nState, {place}")?;
        let width = self.state.iter().map(|(node, _)| node.len()).max().unwrap_or_default();
        self.state.iter().try_for_each(|(node, shape)| writeln!(f, "  {node:width$}  {shape}"))
    }

    fn write_delivery(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.paths.is_empty() {
            return Ok(());
        }
        if self.lasting {
            writeln!(f, "\nDelivery")?;
            write_paths(f, &self.paths)?;
            return writeln!(f, "  {}", delivery::LASTING);
        }
        writeln!(f, "\nDelivery, without a data directory")?;
        write_paths(f, &self.paths)?;
        delivery::IN_MEMORY.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        writeln!(f, "\nDelivery, with a data directory")?;
        write_paths(f, &self.would_be)
    }
}

fn write_paths(f: &mut fmt::Formatter<'_>, paths: &[PathWords]) -> fmt::Result {
    let names: Vec<String> = paths.iter().map(|path| format!("{} → {}", path.source, path.sink)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    names.iter().zip(paths).try_for_each(|(name, path)| {
        writeln!(f, "  {name:width$}  {}: {}", path.guarantee.name(), path.because)
    })
}

/// A label, and behind it lines in a column.
fn labelled<T: AsRef<str>>(f: &mut fmt::Formatter<'_>, label: &str, lines: &[T]) -> fmt::Result {
    for (i, line) in lines.iter().enumerate() {
        let label = if i == 0 { label } else { "" };
        writeln!(f, "  {label:LABEL$}{}", line.as_ref())?;
    }
    Ok(())
}

fn write_source(f: &mut fmt::Formatter<'_>, source: &SourceWords, workers: usize) -> fmt::Result {
    writeln!(f, "\nSource {}", source.name)?;
    labelled(f, "reads", &[&source.reads])?;
    let ends = if source.is_live { "live: it never ends by itself" } else { "bounded" };
    let readers = source.partitions.unwrap_or(workers).min(workers);
    let by = if workers > 1 { format!(", read by {readers} of {workers} workers") } else { String::new() };
    let found = || "partitions are found while it runs".to_owned();
    let partitions = source.partitions.map_or_else(found, |partitions| counted(partitions, "partition"));
    labelled(f, "input", &[format!("{ends}, {partitions}{by}")])?;
    if let Some(format) = &source.format {
        labelled(f, "format", &[format])?;
    }
    labelled(f, "event time", &[&source.time])?;
    labelled(f, "watermark", &source.watermark)?;
    write_fields(f, source)?;
    write_whole(f, &source.whole)
}

fn write_fields(f: &mut fmt::Formatter<'_>, source: &SourceWords) -> fmt::Result {
    let width = source.fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let fields: Vec<String> = source.fields.iter().map(|(name, ty)| format!("{name:width$}  {ty}")).collect();
    match (&source.format, fields.is_empty()) {
        (Some(_), true) => labelled(f, "decodes", &["no field"]),
        (Some(_), false) => labelled(f, "decodes", &fields),
        (None, _) => labelled(f, "makes", &fields),
    }
}

fn write_whole(f: &mut fmt::Formatter<'_>, whole: &[String]) -> fmt::Result {
    if whole.is_empty() {
        return Ok(());
    }
    labelled(f, "keeps", &["the whole event, because"])?;
    whole.iter().try_for_each(|why| writeln!(f, "  {:LABEL$}  {why}", ""))
}

fn write_stage(f: &mut fmt::Formatter<'_>, number: usize, stage: &StageWords) -> fmt::Result {
    writeln!(f, "\nStage {number}: {}", stage.title)?;
    let copies: Vec<String> = stage.copies.iter().map(copied).collect();
    labelled(f, "copies", &copies)?;
    if let Some(why) = stage.why {
        labelled(f, "because", &[why])?;
    }
    write_whole(f, &stage.whole)?;
    let mut lines = Vec::new();
    block_lines(&stage.work, &mut lines);
    if lines.is_empty() {
        lines.push("nothing reads it".to_owned());
    }
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}

fn copied(copy: &CopyWords) -> String {
    let mut parts = copy.fields.clone();
    if copy.whole {
        parts.push("the whole event".to_owned());
    }
    if parts.is_empty() {
        parts.push("no field".to_owned());
    }
    let from = copy.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    format!("{}{from}", parts.join(", "))
}

/// The steps of a block below each other, then its ways out as branches.
fn block_lines(block: &Block, into: &mut Vec<String>) {
    let width = block.steps.iter().map(|step| step.node.len()).max().unwrap_or_default();
    let mut last: Option<&StepWords> = None;
    for step in &block.steps {
        let name = if last.is_some_and(|last| last.node == step.node) { "" } else { &step.node };
        into.push(format!("{name:width$}  {}", step.does));
        into.extend(step.details.iter().map(|detail| format!("{:width$}    {detail}", "")));
        last = Some(step);
    }
    for (i, out) in block.outs.iter().enumerate() {
        let (first, others) =
            if i + 1 < block.outs.len() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
        for (i, line) in out_lines(out).into_iter().enumerate() {
            into.push(format!("{}{line}", if i == 0 { first } else { others }));
        }
    }
}

fn out_lines(out: &Out) -> Vec<String> {
    let mut lines = Vec::new();
    match &out.to {
        Destination::Stage(number) => lines.push(format!("→ stage {number}")),
        Destination::Block(block) => block_lines(block, &mut lines),
    }
    if !out.port.is_empty() {
        let width = out.port.chars().count() + 2;
        for (i, line) in lines.iter_mut().enumerate() {
            *line = if i == 0 { format!("{}: {line}", out.port) } else { format!("{:width$}{line}", "") };
        }
    }
    lines
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
