//! What a node's planner works with: reading expressions, compiling them at a point, attaching steps.

use super::draft::{Draft, Origin};
use super::plugin::Plugins;
use super::scope::{Point, Scope};
use super::{
    ComponentSpec, ComputePlan, FormatPlan, Gathered, Instance, MAIN, NodeId, Port, StageId, StepId, StepPlan,
};
use crate::config::{Faults, Node, Section, Setting, Snippet, StateTtl, read};
use crate::event::{Path, Slot, Span};
use crate::expr::{
    self, Expr, ExprFault, Functions, Literal, Program, Resolved, SourceField, Type, UnknownField,
};
use crate::time::Millis;
use std::collections::{BTreeMap, BTreeSet};

/// A port of a node that somebody reads.
#[derive(Clone, Debug)]
pub struct Listened {
    /// The port; the main one is the empty name.
    pub port: String,
    /// Who reads it first, and in which line of which file: for `explain`.
    pub by: String,
}

/// Plans one node of a pipeline.
pub struct NodePlanner<'a> {
    /// The plan in the making.
    pub draft: &'a mut Draft,
    /// Where faults are reported.
    pub faults: &'a Faults,
    /// The functions that expressions may call.
    pub functions: &'a Functions,
    /// What scripts register for all nodes.
    pub plugins: &'a Plugins,
    /// The pipeline's parameters.
    pub params: &'a BTreeMap<String, Literal>,
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: &'a str,
    /// Whether it had another one before.
    pub is_renamed: bool,
    /// The ports of this node that somebody reads.
    pub listened: &'a [Listened],
    /// Whether several workers share the keys.
    pub parallel: bool,
    /// How many there are.
    pub workers: usize,
    /// `ordered`, where the node says so.
    pub ordered: Option<bool>,
    /// Whether events of this node wait for the watermark, so that there are late ones.
    pub is_ordered: bool,
    /// How its events were gathered last for keyed history.
    pub gathered: Option<Gathered>,
    /// Where events are that came too late to be put in order, if somebody reads them.
    pub late: Option<Point>,
    /// Where events enter the node, behind what templates of a sink compute; none for sources.
    pub entry: Option<Point>,
    /// For a join: the names of its two inputs, and where their events are. For what asks a table that a node fills: where
    /// that one's events are.
    pub sides: Vec<(String, Point)>,
    /// For sources: programs that run before events get their times, and so before any step.
    pub prepare: Option<Vec<(Slot, Program)>>,
    /// How long what it keeps of a key without events is kept.
    pub ttl: StateTtl,
    /// Whether it keeps anything to which that applies.
    pub takes_ttl: bool,
    /// The folder that relative input paths start at.
    pub folder: &'a std::path::Path,
    /// The name of the pipeline.
    pub pipeline: &'a str,
    /// Who runs the pipeline.
    pub instance: &'a Instance,
    /// Tables that could not be planned, which was reported.
    pub missing_tables: &'a BTreeSet<String>,
    /// The keys of tables that nodes fill.
    pub temporal: &'a BTreeMap<String, Vec<String>>,
}

impl NodePlanner<'_> {
    /// Reads the node's own `state_ttl`.
    pub fn read_ttl(&mut self, section: &Section<'_>) {
        self.ttl = section.or("state_ttl", self.ttl, StateTtl::read);
    }

    /// Reports a `state_ttl` of a planned node that keeps nothing to which it applies.
    pub fn judge_ttl(&self, section: &Section<'_>) {
        if let Some(setting) = section.get("state_ttl").filter(|_| !self.takes_ttl) {
            let message = format!("`state_ttl` means nothing for {}", section.what());
            let reported = self.faults.error(setting.key, message);
            reported.hint("it keeps nothing by key that does not end by itself");
        }
    }

    /// How long the node keeps state of a key that has no events any more. To be asked for each step that would else keep
    /// it for ever.
    pub fn state_ttl(&mut self) -> StateTtl {
        self.takes_ttl = true;
        self.ttl
    }

    /// The same of a step that must remember a key for at least a span, which stands in an option: reported if not.
    pub fn state_ttl_beyond(&mut self, span: Setting<'_>, least: Millis) -> Option<StateTtl> {
        let ttl = self.state_ttl();
        let Some(short) = ttl.0.filter(|ttl| *ttl < least) else { return Some(ttl) };
        let message = format!("`{}` is {least}, longer than keys are remembered here: {short}", span.name);
        span.error(message).hint("give the node a `state_ttl` of its own that is at least as long");
        None
    }

    /// Whether somebody reads the port.
    pub fn is_listened(&self, port: &str) -> bool {
        self.listened.iter().any(|listened| listened.port == port)
    }

    /// Reads an expression.
    pub fn parse(&self, setting: Setting<'_>) -> Option<Expr> {
        let snippet = read::expression(setting)?;
        self.parse_text(setting, snippet.text)
    }

    /// Reads a text as an expression, with faults at the same bytes of the setting's text.
    pub fn parse_text(&self, setting: Setting<'_>, text: &str) -> Option<Expr> {
        let snippet = read::expression(setting)?;
        expr::parse(text).map_err(|fault| report(snippet, &fault)).ok()
    }

    /// Compiles an expression that stands in a node of the file at a point.
    pub fn compile(&mut self, at: &Point, setting: Setting<'_>, expr: &Expr) -> Option<Program> {
        let functions = self.functions;
        self.compile_with(at, setting, expr, functions)
    }

    /// The same with further functions.
    pub fn compile_with(
        &mut self,
        at: &Point,
        setting: Setting<'_>,
        expr: &Expr,
        functions: &Functions,
    ) -> Option<Program> {
        let mut scope = PointScope {
            draft: self.draft,
            stage: at.stage,
            scope: &at.scope,
            params: self.params,
            instance: self.instance,
        };
        match expr::compile(expr, &mut scope, functions) {
            Ok(program) => Some(program),
            Err(fault) => {
                if let Some(snippet) = read::expression(setting) {
                    report(snippet, &quoted_twice(setting.node, fault));
                }
                None
            }
        }
    }

    /// The name of the field that a setting's key stands for: odd names may stand in backticks, as in expressions.
    pub fn field_name(&self, setting: Setting<'_>) -> String {
        let quoted = setting.name.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
        quoted.map_or_else(|| setting.name.to_owned(), |name| name.replace("``", "`"))
    }

    /// Whether a setting's key can name a field; reported if not.
    pub fn is_name(&self, setting: Setting<'_>) -> bool {
        let good = !super::is_hidden(setting.name);
        if !good {
            self.faults.error(setting.key, "the name of a field cannot start with `(`");
        }
        good
    }

    /// Reads and compiles an expression.
    pub fn program(&mut self, at: &Point, setting: Setting<'_>) -> Option<Program> {
        let expr = self.parse(setting)?;
        self.compile(at, setting, &expr)
    }

    /// Reads and compiles a condition.
    pub fn condition(&mut self, at: &Point, setting: Setting<'_>) -> Option<Program> {
        let expr = self.parse(setting)?;
        self.condition_of(at, setting, &expr)
    }

    /// Compiles an expression as a condition.
    pub fn condition_of(&mut self, at: &Point, setting: Setting<'_>, expr: &Expr) -> Option<Program> {
        let program = self.compile(at, setting, expr)?;
        if !program.ty().meets(Type::BOOL) {
            setting.error(format!("the condition is {}, not true or false", program.ty().noun()));
            return None;
        }
        Some(program)
    }

    /// Whether a field selected under another name can stay where it is: it is in a cell of its own. Reports nothing;
    /// an unknown field is no alias, so that compiling it reports it.
    pub fn is_alias(&mut self, at: &Point, path: &Path) -> bool {
        super::is_hidden(path.root())
            || self.draft.is_direct(at.stage, &at.scope, path)
                && self.draft.can_resolve(at.stage, &at.scope, path)
    }

    /// The type of an expression at a point.
    pub fn type_of(&mut self, at: &Point, setting: Setting<'_>, expr: &Expr) -> Option<Type> {
        if let Some(path) = expr.as_path()
            && let Ok(found) = self.draft.resolve(at.stage, &at.scope, path)
            && found.rest.is_empty()
        {
            return Some(found.ty);
        }
        self.compile(at, setting, expr).map(|program| program.ty())
    }

    /// The slot that holds an expression's value at a point: that of a field, or a new one that is computed.
    pub fn slot_of(
        &mut self,
        at: &mut Point,
        setting: Setting<'_>,
        expr: &Expr,
        verb: &'static str,
    ) -> Option<Slot> {
        if let Some(path) = expr.as_path()
            && let Ok(found) = self.draft.resolve(at.stage, &at.scope, path)
            && found.rest.is_empty()
        {
            return Some(found.slot);
        }
        let program = self.compile(at, setting, expr)?;
        let name = expr.to_string();
        let slot = self.draft.slot(at.stage, name.clone(), program.ty());
        match &mut self.prepare {
            Some(prepared) => prepared.push((slot, program)),
            None => {
                let fields = vec![(name, slot, program)];
                let step = self.attach(at, Box::new(ComputePlan { fields, verb }));
                at.behind = Some((step, MAIN));
            }
        }
        Some(slot)
    }

    /// Attaches a step of this node at a point.
    pub fn attach(&mut self, at: &Point, plan: Box<dyn StepPlan>) -> StepId {
        let step = self.draft.attach(at, self.node, plan);
        if let Some(rejected) = self.listened.iter().find(|listened| listened.port == "rejected") {
            let scope = match &self.entry {
                Some(entry) if entry.stage == at.stage => entry.scope.clone(),
                _ => at.scope.clone(),
            };
            let view = self.draft.view(at.stage, &scope, &rejected.by);
            self.draft.steps[step.0 as usize].rejected = Some(view);
        }
        step
    }

    /// Attaches a step of this node whose main port emits events as they came in. Returns the point behind it.
    pub fn emitting(&mut self, at: &Point, plan: Box<dyn StepPlan>) -> Point {
        let stage = self.draft.stage(Origin::Copied(vec![at.clone()]));
        let step = self.attach(at, plan);
        self.draft.emit_to(step, MAIN, stage);
        Point { stage, behind: None, scope: Scope::origin() }
    }

    /// A stage whose rows this source decodes.
    pub fn decoded_stage(&mut self, format: &dyn FormatPlan) -> StageId {
        let decoding = self.draft.decoding(format.known_fields());
        self.draft.stage(Origin::Decoded(decoding))
    }

    /// The point behind a passing port of a step, with the given fields.
    pub fn behind(&self, at: &Point, step: StepId, port: Port, scope: Scope) -> Point {
        Point { stage: at.stage, behind: Some((step, port)), scope }
    }
}

/// Reports a fault of an expression at its place in the file.
pub(super) fn report(snippet: Snippet<'_>, fault: &ExprFault) {
    let reported = snippet.error(fault.span.clone(), fault.message.clone());
    if let Some(hint) = &fault.hint {
        reported.hint(hint.clone());
    }
}

/// A name in quotes that is no field was probably meant as a text.
fn quoted_twice(node: &Node, mut fault: ExprFault) -> ExprFault {
    let text = node.scalar().unwrap_or_default();
    let bare = text.chars().all(|c| c.is_alphanumeric() || c == '_');
    if node.is_quoted() && bare && fault.message.starts_with("there is no field") {
        fault.hint = Some(format!("for the text {text}, quote it twice: \"'{text}'\""));
    }
    fault
}

/// The fields at a point, as the compiler of expressions asks for them.
struct PointScope<'a> {
    draft: &'a mut Draft,
    stage: StageId,
    scope: &'a Scope,
    params: &'a BTreeMap<String, Literal>,
    instance: &'a Instance,
}

impl expr::Scope for PointScope<'_> {
    fn field(&mut self, path: &Path) -> Result<Resolved, UnknownField> {
        self.draft.resolve(self.stage, self.scope, path)
    }

    fn constant(&mut self, bytes: &[u8]) -> Span {
        self.draft.constant(self.stage, bytes)
    }

    fn param(&self, name: &str) -> Option<Literal> {
        self.params.get(name).cloned()
    }

    fn source_field(&mut self, field: &SourceField) -> Option<Resolved> {
        let path = Path::field(field.hidden_name());
        self.draft.resolve(self.stage, self.scope, &path).ok()
    }

    fn instance(&self) -> &str {
        &self.instance.id
    }
}

/// Where the ports of a planned transform are: name (empty for the main port) and point.
pub type Ports = Vec<(String, Point)>;

/// A kind of transform, as its folder's registry lists it.
pub struct TransformSpec {
    /// What documents it.
    pub spec: &'static ComponentSpec,
    /// Plans one at a point; None if something was reported.
    pub plan: fn(&mut NodePlanner<'_>, &Point, Setting<'_>) -> Option<Ports>,
    /// Whether it gathers events by key, and puts them in order itself where that is asked for.
    pub gathers: bool,
}
