use super::*;
use std::time::Duration;

fn budget() -> Budget {
    Budget { memory: 4 << 20, instructions: 100_000, time: Duration::from_secs(60) }
}

fn load(text: &str) -> Result<Machine, LuaFault> {
    Machine::load(&Script::inline("test", text, None), budget(), &Setup::default())
}

fn call(machine: &Machine, name: &str) -> Result<mlua::Value, LuaFault> {
    let function = machine.global_function(name).expect("the script defines it");
    machine.call(|_| function.call(()))
}

#[test]
fn a_function_of_a_script_is_called() {
    let machine = load("function double(x) return x * 2 end").unwrap();
    let double = machine.global_function("double").unwrap();
    assert_eq!(machine.call(|_| double.call::<i64>(21)), Ok(42));
    assert!(machine.global_function("absent").is_none());
    assert!(machine.memory() > 0);
}

#[test]
fn errors_name_their_place() {
    let machine = load("function f()\n  local x = nil\n  return x.y\nend").unwrap();
    let fault = call(&machine, "f").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Error);
    assert_eq!((&*fault.script, fault.line), ("test", Some(3)));
    assert!(fault.message.contains("attempt to index a nil value"), "{fault}");
    assert!(fault.traceback.contains("test:3: in"), "{}", fault.traceback);
    // The machine goes on.
    assert_eq!(call(&machine, "f").unwrap_err().kind, FaultKind::Error);
    let fault = load("x = = 1").err().unwrap();
    assert_eq!((fault.kind, fault.line), (FaultKind::Syntax, Some(1)));
}

#[test]
fn an_endless_loop_ends() {
    let machine = load("function f() while true do end end").unwrap();
    let fault = call(&machine, "f").unwrap_err();
    assert_eq!(fault.kind, FaultKind::Instructions);
    assert_eq!(fault.line, Some(1));
    assert_eq!(machine.breach(), Some(FaultKind::Instructions));
    assert_eq!(call(&machine, "f").unwrap_err().kind, FaultKind::Instructions);
    assert_eq!(load("while true do end").err().unwrap().kind, FaultKind::Instructions);
}

#[test]
fn a_breach_is_not_caught() {
    let scripts = [
        "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "while true do coroutine.wrap(function() while true do end end)() end",
        "local f = coroutine.wrap(function()
           local x <close> = setmetatable({}, {__close = function() while true do end end})
           while true do end
         end)
         f()",
        "local function f() for _ in next, {1}, nil, setmetatable({}, {__close = function() f() end}) do f() end end f()",
        "while true do coroutine.create(function() end) end",
    ];
    for script in scripts {
        let machine = load(&format!("function f() {script} end")).unwrap();
        let fault = call(&machine, "f").unwrap_err();
        assert!(fault.kind.is_breach() || fault.kind == FaultKind::Depth, "{script}: {fault:?}");
        assert!(machine.used_instructions() < 2 * budget().instructions, "{script}");
    }
}

#[test]
fn memory_is_limited() {
    let scripts = [
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local s = 'x' while true do s = s .. s end",
        "while true do pcall(string.rep, 'x', 1 << 40) end",
        "local t = {} while true do t = {t} end",
    ];
    for script in scripts {
        let machine = load(&format!("function f() {script} end")).unwrap();
        let fault = call(&machine, "f").unwrap_err();
        assert!(fault.kind.is_breach(), "{script}: {fault:?}");
        assert!(machine.memory() < 2 * budget().memory, "{script}");
    }
}

#[test]
fn nothing_outside_is_reached() {
    for name in ["os", "io", "package", "debug", "dofile", "loadfile", "warn", "string.dump"] {
        let machine = load(&format!("function f() return {name} end")).unwrap();
        assert!(call(&machine, "f").unwrap().is_nil(), "{name}");
    }
    let fault = load("setmetatable({}, {__gc = function() end})").err().unwrap();
    assert!(fault.message.contains("__gc"), "{fault}");
    assert_eq!(load("assert(getmetatable('') == false)").err(), None);
}

#[test]
fn a_setup_comes_before_the_script() {
    let install = |lua: &Lua| lua.globals().set("answer", 42);
    let helper = Helper::new("text", "twice", |lua, args| {
        let text: String = lua.convert(args.into_iter().next())?;
        lua.pack(text.repeat(2))
    });
    let setup = Setup { helpers: &[helper], install: Some(&install) };
    let text = "assert(answer == 42) assert(text.twice('ab') == 'abab') assert(require('text') == text)";
    assert_eq!(Machine::load(&Script::inline("a", text, None), budget(), &setup).err(), None);
}
