//! One seed: lives of a pipeline with all that goes wrong in them, until its input has gone through.

use crate::copies::{Copies, Outsiders};
use crate::coverage::Coverage;
use crate::draw::Draw;
use crate::oracle;
use crate::scenario::{Scenario, SinkOf};
use crate::sinks::{SimulatedSink, Target};
use crate::sources::SimulatedSource;
use crate::topics::Topic;
use crate::world::{PowerCut, World};
use headwater::config::{self, Faults, ProcessEnvironment, SourceFile, read_pipeline};
use headwater::dataflow::OnDoubt;
use headwater::plan::{self, Plan};
use headwater::runtime::{Found, Instruments, KeeperHandle, Keeping, Pipeline, Stepped, Steps};
use headwater::state::disk::Disk;
use headwater::state::disk::simulated::{Fault, Moment};
use headwater::state::{self, OnCorruption, OpenOptions, Recovery, Repair};
use headwater::time::{Clock, Millis};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;

/// Steps after which a pipeline that nothing disturbs must have gone through all.
const PATIENCE: usize = 60_000;
/// Lives after which something is wrong with the simulation itself.
const MOST_LIVES: usize = 40;

/// How a life ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The power went.
    Crashed,
    /// A sink or the disk failed.
    Failed,
    /// A target does not say what has arrived, so it asks what to do.
    Asked,
    /// It was told to stop.
    Stopped,
    /// All input has gone through.
    Done,
}

/// Runs a seed; adds what it has seen.
///
/// # Errors
/// What is not as it must be.
pub fn run(seed: u64, trace: bool, coverage: &Coverage) -> Result<(), String> {
    let mut draw = Draw::new(seed);
    let scenario = Scenario::draw(&mut draw);
    let world = World::new(draw.seed(), trace);
    scenario.cover(&world.coverage);
    world.tell(|| scenario.text(if scenario.is_alone { 1 } else { 3 }));
    let targets = scenario
        .sinks
        .iter()
        .enumerate()
        .map(|(number, sink)| Target::new(format!("out{number}"), sink, &world, draw.seed()));
    let mut targets: Vec<Arc<Target>> = targets.collect();
    for number in scenario.returning() {
        let file = SinkOf { is_topic: false, ..scenario.sinks[number] };
        let back = Target::new(format!("back{number}"), &file, &world, draw.seed());
        targets[number].topic.iter().for_each(|topic| topic.gives_back_to(&back));
        targets.push(back);
    }
    let inputs = scenario.sources.iter().map(|source| source.input.clone()).collect();
    let copies = Copies::new(&world, Outsiders { targets: targets.clone(), inputs });
    let given_up = vec![0; targets.len()];
    let faults = Vec::new();
    let mut simulation = Simulation {
        scenario,
        world,
        targets,
        draw,
        disturbed: false,
        copies,
        keeper: None,
        given_up,
        faults,
        on_doubt: OnDoubt::Ask,
    };
    let outcome = simulation.run();
    coverage.add(&simulation.world.coverage);
    outcome
}

struct Simulation {
    scenario: Scenario,
    world: Arc<World>,
    targets: Vec<Arc<Target>>,
    draw: Draw,
    /// Whether anything went wrong.
    disturbed: bool,
    copies: Copies,
    /// A way to whoever keeps the state in this life.
    keeper: Option<KeeperHandle>,
    /// Bytes that were given up in earlier lives, by sink.
    given_up: Vec<u64>,
    /// What is to go wrong with the disk in this life.
    faults: Vec<(Moment, Fault)>,
    /// What the next life is to do in doubt.
    on_doubt: OnDoubt,
}

impl Simulation {
    fn run(&mut self) -> Result<(), String> {
        for life in 0..self.scenario.troubled {
            let end = self.guarded(true)?;
            self.world.tell(|| format!("life {life} ends: {end:?}"));
            self.after(&end)?;
        }
        self.targets.iter().for_each(|target| target.heal());
        self.world.restart();
        let mut lives = 0;
        loop {
            let end = self.guarded(false)?;
            self.world.tell(|| format!("quiet life {lives} ends: {end:?}"));
            lives += 1;
            match end {
                End::Done => break,
                End::Stopped if lives < MOST_LIVES => {}
                End::Asked if lives < MOST_LIVES => {
                    self.disturbed = true;
                    self.world.begin_process();
                }
                _ => return Err(format!("nothing goes wrong any more, and it ends: {end:?}")),
            }
        }
        self.check()?;
        // All is done: another life adds nothing.
        self.guarded(false)?;
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        let given_up = self.given_up();
        let sinks = self.targets.iter().zip(given_up).take(self.scenario.sinks.len()).enumerate();
        let results = sinks.map(|(number, (target, given_up))| {
            let going = (self.disturbed, given_up);
            if given_up > 0 {
                self.world.note("output given up");
            }
            oracle::check(&self.scenario, number, target, going, &self.world.coverage)
                .map_err(|fault| format!("{}: {fault}", target.name))
        });
        results.collect()
    }

    /// Bytes that were given up, by sink.
    fn given_up(&self) -> Vec<u64> {
        let now = self.keeper.as_ref().map(|keeper| keeper.figures().sinks).unwrap_or_default();
        let now = now.into_iter().map(|sink| sink.given_up).chain(std::iter::repeat(0));
        self.given_up.iter().zip(now).map(|(before, now)| before + now).collect()
    }

    /// Something that a sink lacks.
    fn missing(&self) -> Option<String> {
        let sinks = self.scenario.sinks.len();
        let mut all = self.targets.iter().zip(self.given_up()).take(sinks).enumerate();
        all.find_map(|(number, (target, given_up))| oracle::missing(&self.scenario, number, target, given_up))
    }

    fn after(&mut self, end: &End) -> Result<(), String> {
        self.note_end(end);
        self.disturbed |= !matches!(end, End::Done);
        match end {
            End::Crashed => self.world.restart(),
            End::Failed | End::Asked | End::Stopped | End::Done if self.draw.often(500) => {
                self.world.restart();
            }
            _ => self.world.begin_process(),
        }
        if self.draw.often(100) {
            self.jump();
            self.world.note("clock jumps");
        }
        self.disturbed |= self.copies.resume(&self.scenario, &mut self.draw)?;
        Ok(())
    }

    fn note_end(&mut self, end: &End) {
        match end {
            End::Crashed => self.world.note("power cut"),
            End::Stopped => self.world.note("stop"),
            End::Failed | End::Asked | End::Done => {}
        }
        let disk = self.world.state();
        for (moment, fault) in self.faults.drain(..) {
            let has_come = match moment {
                Moment::Operation(number) => disk.operations() > number,
                Moment::Sync(number) => disk.syncs() > number,
            };
            match fault {
                _ if !has_come => {}
                Fault::PowerCut => self.world.note("power cut of the disk"),
                Fault::Broken => self.world.note("disk broken"),
                Fault::Full => self.world.note("disk full"),
            }
        }
    }

    /// Somebody sets the clock.
    fn jump(&mut self) {
        let by = Millis(self.draw.between(-5_000, 100_000));
        self.world.tell(|| format!("the clock jumps by {by}"));
        self.world.jump(by);
    }

    /// A life, which may end anywhere.
    fn guarded(&mut self, troubled: bool) -> Result<End, String> {
        let world = self.world.clone();
        let ended = catch_unwind(AssertUnwindSafe(|| self.live(troubled)));
        self.given_up = self.given_up();
        self.keeper = None;
        self.copies.end_life();
        match ended {
            Ok(_) if world.is_off() => Ok(End::Crashed),
            Ok(end) => end,
            Err(payload) if payload.is::<PowerCut>() => Ok(End::Crashed),
            Err(payload) => resume_unwind(payload),
        }
    }

    fn live(&mut self, troubled: bool) -> Result<End, String> {
        let mut faults = if troubled { 1 + self.draw.below(400) } else { usize::MAX };
        let when = if troubled { self.draw.below(3) } else { 0 };
        if when == 1 {
            self.plan_disk_faults();
        }
        let workers = match (self.scenario.is_alone, self.scenario.rescales) {
            (true, _) => 1,
            (false, true) => 2 + self.draw.below(3),
            (false, false) => 3,
        };
        let Some(mut steps) = self.open(workers, troubled)? else { return Ok(End::Failed) };
        if when == 2 {
            self.plan_disk_faults();
        }
        let mut settled = 0;
        for step in 0..PATIENCE {
            if self.world.is_off() {
                return Ok(End::Crashed);
            }
            if steps.have_ended() {
                return self.end(steps, troubled, End::Done);
            }
            if let Err(error) = self.step(&mut steps) {
                return self.failed(error, troubled);
            }
            if troubled {
                self.intervene();
            }
            faults -= 1;
            if faults == 0 {
                if self.draw.often(300) {
                    steps.stop();
                    return self.end(steps, troubled, End::Stopped);
                }
                self.world.cut_power();
                return Ok(End::Crashed);
            }
            if !troubled && self.scenario.is_live() && step % 200 == 0 && self.missing().is_none() {
                settled += 1;
                if settled == 3 {
                    steps.stop();
                    return self.end(steps, troubled, End::Done);
                }
            }
        }
        let figures = self.keeper.as_ref().map(KeeperHandle::figures);
        self.world.tell(|| format!("{figures:?}"));
        Err(format!("nothing goes wrong, and after {PATIENCE} steps {}", self.what_is_missing()))
    }

    fn what_is_missing(&self) -> String {
        self.missing().unwrap_or_else(|| "it has not ended, with all output there".to_owned())
    }

    fn end(&mut self, steps: Steps, troubled: bool, end: End) -> Result<End, String> {
        match steps.end(&*self.world) {
            Ok(_) => Ok(end),
            Err(error) => self.failed(error, troubled),
        }
    }

    /// A life failed. That it asks must have a reason; then it is answered.
    fn failed(&mut self, error: String, troubled: bool) -> Result<End, String> {
        self.world.tell(|| format!("failed: {error}"));
        if !error.contains("--accept-duplicates") {
            return if troubled { Ok(End::Failed) } else { Err(error) };
        }
        if !self.topics().any(|topic| topic.is_doubtful()) {
            return Err(format!("it asks without reason: {error}"));
        }
        // What is missing for good would be waited for.
        self.on_doubt = match self.scenario.is_live() || self.draw.often(300) {
            true => OnDoubt::Duplicates,
            false => OnDoubt::Gap,
        };
        Ok(End::Asked)
    }

    fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.targets.iter().filter_map(|target| target.topic.as_ref())
    }

    /// What this life is to do in doubt.
    fn take_answer(&mut self) -> OnDoubt {
        let answer = std::mem::take(&mut self.on_doubt);
        match answer {
            OnDoubt::Ask => {}
            OnDoubt::Duplicates => self.world.note("duplicates accepted"),
            OnDoubt::Gap => self.world.note("gap accepted"),
        }
        self.topics().for_each(|topic| topic.begin_life(answer));
        answer
    }

    /// What somebody asks of the process, and what happens to its machine, while it runs.
    fn intervene(&mut self) {
        let Some(keeper) = self.keeper.clone() else { return };
        self.copies.step(&keeper);
        match self.draw.below(2_000) {
            0..4 => self.copies.ask_savepoint(&keeper, &mut self.draw),
            4..12 => self.copies.ask_snapshot(&keeper),
            12..14 => {
                self.jump();
                self.world.note("clock jumps while it runs");
            }
            _ => {}
        }
    }

    fn step(&mut self, steps: &mut Steps) -> Result<(), String> {
        let workers = steps.workers();
        match self.draw.below(workers + 2) {
            worker if worker < workers => {
                let stepped = steps.step_worker(worker, &*self.world)?;
                if stepped == Stepped::Idle {
                    self.world.advance(Millis(1));
                }
            }
            number if number == workers => _ = steps.step_coordinator(&*self.world)?,
            _ => {
                let span = self.draw.one_of(&[0, 1, 5, 30]);
                self.world.advance(Millis(span));
            }
        }
        Ok(())
    }

    fn plan_disk_faults(&mut self) {
        let (disk, draw) = (self.world.state(), &mut self.draw);
        for _ in 0..1 + draw.below(4) {
            let fault = draw.one_of(&[Fault::PowerCut, Fault::Broken, Fault::Full]);
            let moment = match draw.often(500) {
                true => Moment::Operation(disk.operations() + draw.below(60) as u64),
                false => Moment::Sync(disk.syncs() + draw.below(20) as u64),
            };
            self.world.tell(|| format!("{fault:?} at {moment:?}"));
            disk.fail_at(moment, fault);
            self.faults.push((moment, fault));
        }
        if draw.often(300) {
            let (room, span) = (draw.below(200_000), Millis(draw.between(1, 5_000)));
            self.world.tell(|| format!("room for {room} bytes only, for {span}"));
            self.world.fill_disk(room, span);
            self.world.note("no room for a while");
        }
        if draw.often(400) {
            let files = &self.world.files;
            let moment = Moment::Operation(files.operations() + draw.below(8) as u64);
            let fault = draw.one_of(&[Fault::Broken, Fault::Full]);
            self.world.tell(|| format!("{fault:?} at {moment:?} for files of sinks"));
            files.fail_at(moment, fault);
        }
    }

    /// Starts the pipeline. None where the disk does not let it.
    fn open(&mut self, workers: usize, troubled: bool) -> Result<Option<Steps>, String> {
        let disk: Arc<dyn Disk> = Arc::new(self.world.state());
        let options = OpenOptions {
            limits: self.scenario.limits,
            on_corruption: OnCorruption::Refuse,
            entropy: self.world.entropy(),
            now: self.world.wall(),
        };
        let (backend, recovery) = match state::open(&disk, &options) {
            Ok(opened) => opened,
            Err(error @ state::StateError::Disk { .. }) if troubled => {
                self.world.note("disk refuses a start");
                self.world.tell(|| format!("the state does not open: {error}"));
                return Ok(None);
            }
            Err(error) => return Err(format!("the state does not open: {error}")),
        };
        self.world.tell(|| format!("{workers} workers, epoch {:?}, {:?}", recovery.epoch, recovery.repairs));
        self.look_at(&recovery)?;
        let mut plan = self.plan(workers);
        let on_doubt = self.take_answer();
        let keeping = Keeping {
            spilling: None,
            on_doubt,
            backend,
            folder: "simulated".into(),
            bytes_per_day: None,
            disk_bytes: None,
            may_drop: Vec::new(),
            dead_letters: None,
        };
        let found = Found::find(&mut plan, keeping)?;
        match Pipeline::open_with(&plan, &*self.world, &Nothing, Some(found)) {
            Ok(pipeline) => {
                self.keeper = pipeline.keeper();
                Ok(Some(pipeline.into_steps()))
            }
            Err(error) if troubled => {
                self.world.tell(|| format!("the pipeline does not open: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The disk has kept its word, so nothing is lost.
    fn look_at(&self, recovery: &Recovery) -> Result<(), String> {
        if recovery.repairs.iter().any(|repair| matches!(repair, Repair::TornTail { .. })) {
            self.world.note("torn tail");
        }
        match recovery.repairs.iter().find(|repair| repair.is_loss()) {
            Some(loss) => Err(format!("the disk has kept its word, and something is lost: {loss:?}")),
            None => Ok(()),
        }
    }

    fn plan(&mut self, workers: usize) -> Plan {
        let text = self.scenario.text(workers);
        let faults = Faults::new(SourceFile::new("simulated.yaml", text.clone().into()).unwrap());
        let environment = ProcessEnvironment::default();
        let file = read_pipeline(&faults, config::Surroundings { environment: &environment, overrides: &[] });
        let surroundings =
            plan::Surroundings { folder: Path::new(""), taps: &[], instance: &Default::default() };
        let plan = file.and_then(|file| plan::plan(&file, &surroundings, &faults));
        let mut plan = plan.unwrap_or_else(|| {
            let all = faults.diagnostics();
            let messages: Vec<&str> = all.iter().map(|fault| fault.message.as_str()).collect();
            panic!("{text}{messages:#?}")
        });
        plan.checkpoint.every = self.scenario.interval;
        for (number, source) in plan.sources.iter_mut().enumerate() {
            source.plan = Box::new(SimulatedSource {
                number,
                live: self.scenario.sources[number].live,
                input: self.scenario.sources[number].input.clone(),
                world: self.world.clone(),
                journal: None,
                seed: self.draw.seed(),
            });
        }
        for (number, sink) in plan.sinks.iter_mut().enumerate() {
            sink.plan = Box::new(SimulatedSink(self.targets[number].clone()));
        }
        plan
    }
}

struct Nothing;

impl Instruments for Nothing {}
