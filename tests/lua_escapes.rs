//! Scripts that try to get out of the sandbox, or to outlive their budget. None reads a file, kills the process, uses
//! twice its budget, or reaches another machine.

#[path = "lua_escapes/limits.rs"]
mod limits;
#[path = "lua_escapes/reach.rs"]
mod reach;

use headwater::lua::{Budget, FaultKind, LuaFault, Machine, Script, Setup};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How a script must end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// With a budget exceeded.
    Breach,
    /// With an error that is no breach.
    Refused,
    /// By itself: what it tries does nothing.
    Nothing,
    /// As it likes, as long as it ends.
    Any,
}

/// A kind of script: what it tries, how it must end, and its text.
type Attempt = (&'static str, End, &'static str);

/// What must not come out of the file that scripts look for.
const SECRET: &str = "hunter2";

/// Longer than any of this takes on any machine: a script that is not stopped at all.
const PATIENCE: Duration = Duration::from_secs(300);

fn budget() -> Budget {
    Budget { memory: 4 << 20, instructions: 300_000, time: Duration::from_secs(120) }
}

fn load(text: &str, folder: &Path) -> Result<Machine, LuaFault> {
    let script = Script { modules: Some(folder.join("plugins")), ..Script::inline("attempt", text, None) };
    Machine::load(&script, budget(), &Setup::default())
}

/// Runs a script as a chunk, and once more as a function that is called; gives how each ended, and what it told.
fn run(text: &str, folder: &Path) -> Vec<(Result<(), FaultKind>, String)> {
    let called =
        format!("local SECRET_FILE = '{}' function run(...) {text}\nend", folder.join("secret").display());
    let chunk = format!("local SECRET_FILE = '{}' {text}", folder.join("secret").display());
    let mut ends = Vec::new();
    ends.push(match load(&chunk, folder) {
        Ok(_) => (Ok(()), String::new()),
        Err(fault) => (Err(fault.kind), format!("{fault} {}", fault.traceback)),
    });
    let machine = load(&called, folder).unwrap_or_else(|fault| panic!("{fault}"));
    let function = machine.global_function("run").expect("it was defined");
    let result = machine.call(|lua| {
        let value: mlua::Value = function.call(())?;
        Ok(lua.coerce_string(value)?.map(|text| text.to_string_lossy()).unwrap_or_default())
    });
    let used = machine.used_instructions();
    assert!(used <= 2 * budget().instructions, "{used} instructions were used");
    let memory = machine.memory();
    assert!(memory <= 2 * budget().memory, "{memory} bytes are held");
    ends.push(match result {
        Ok(text) => (Ok(()), text),
        Err(fault) => (Err(fault.kind), format!("{fault} {}", fault.traceback)),
    });
    ends
}

fn judge(end: End, ended: &(Result<(), FaultKind>, String)) -> bool {
    let (ended, told) = ended;
    let fits = match end {
        End::Breach => ended.is_err_and(FaultKind::is_breach),
        End::Refused => ended.is_err_and(|kind| !kind.is_breach()),
        End::Nothing => ended.is_ok(),
        End::Any => true,
    };
    fits && !told.contains(SECRET)
}

/// Machines beside the one that is attacked: each is asked after every attempt.
struct Bystander(Machine);

impl Bystander {
    fn new(folder: &Path) -> Bystander {
        let text = "local kept = 0
            function ask()
              kept = kept + 1
              assert(('x'):rep(3) == 'xxx' and string.format('%d', 3) == '3' and #{1, 2} == 2)
              assert(('k=v'):match('(%w)=') == 'k' and table.concat({1, 2}, ',') == '1,2')
              assert(select('#', pcall(error)) == 2 and getmetatable({}) == nil)
              return kept
            end";
        Bystander(load(text, folder).unwrap_or_else(|fault| panic!("{fault}")))
    }

    fn is_well(&self, asked: i64) {
        let ask = self.0.global_function("ask").expect("it was defined");
        assert_eq!(self.0.call(|_| ask.call::<i64>(())), Ok(asked));
    }
}

fn attempt_all(attempts: &'static [Attempt], name: &str) {
    let folder = std::env::temp_dir().join(format!("headwater-escapes-{name}-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("plugins")).unwrap();
    std::fs::write(folder.join("secret"), format!("return '{SECRET}'")).unwrap();
    std::fs::write(folder.join("secret.lua"), format!("return '{SECRET}'")).unwrap();
    std::fs::write(folder.join("plugins/itself.lua"), "return require 'itself'").unwrap();
    std::fs::write(folder.join("plugins/endless.lua"), "while true do end").unwrap();
    std::fs::write(folder.join("plugins/broken.lua"), "return return").unwrap();
    #[cfg(unix)]
    {
        let _ = std::os::unix::fs::symlink(folder.join("secret.lua"), folder.join("plugins/link.lua"));
    }
    let bystander = Bystander::new(&folder);
    let mut wrong = Vec::new();
    for (number, (what, end, text)) in attempts.iter().enumerate() {
        let (told, result) = mpsc::channel();
        let place = folder.clone();
        let thread = std::thread::spawn(move || {
            let ends = run(text, &place);
            // Nobody listens any more once patience is over.
            let _ = told.send(ends);
        });
        let ends = match result.recv_timeout(PATIENCE) {
            Ok(ends) => ends,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: is not stopped"),
            Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => panic!("{what}: told nothing"),
            },
        };
        let otherwise = ends.iter().filter(|ended| !judge(*end, ended));
        wrong.extend(otherwise.map(|ended| format!("{what}: should end with {end:?}, but {ended:?}")));
        bystander.is_well(number as i64 + 1);
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_script_outlives_its_budget() {
    attempt_all(limits::ATTEMPTS, "limits");
}

#[test]
fn no_script_reaches_anything_outside() {
    attempt_all(reach::ATTEMPTS, "reach");
}

#[test]
fn there_are_many_kinds() {
    assert!(limits::ATTEMPTS.len() + reach::ATTEMPTS.len() >= 60);
}

/// After a breach, a script is loaded anew and knows nothing of what was half done.
#[test]
fn a_machine_that_is_loaded_anew_is_well() {
    let folder = std::env::temp_dir();
    let text = "local count = 0 function run() count = count + 1 if count == 2 then while true do end end return count end";
    for _ in 0..3 {
        let machine = load(text, &folder).unwrap_or_else(|fault| panic!("{fault}"));
        let run = machine.global_function("run").expect("it was defined");
        assert_eq!(machine.call(|_| run.call::<i64>(())), Ok(1));
        assert_eq!(
            machine.call(|_| run.call::<i64>(())).map_err(|fault| fault.kind),
            Err(FaultKind::Instructions)
        );
        assert_eq!(
            machine.call(|_| run.call::<i64>(())).map_err(|fault| fault.kind),
            Err(FaultKind::Instructions)
        );
    }
}
