use super::*;

/// Fields as `r:a w:b` (read, written; `W` always written; `s` shared ones count as written), or the line of the reason.
fn said(text: &str) -> String {
    let found = Fields::of(text);
    if let Some(whole) = found.whole {
        return format!("whole {}", whole.line);
    }
    let mut words: Vec<String> = Vec::new();
    for field in &found.fields {
        let read = if field.read { "r" } else { "" };
        let written = match (field.written, field.always) {
            (true, true) => "W",
            (true, false) => "w",
            (false, _) => "",
        };
        words.push(format!("{}:{read}{written}", field.name));
    }
    let flags = [
        (found.returns_event, "event"),
        (found.returns_other, "other"),
        (!found.reuse, "fresh"),
        (found.emits, "emits"),
    ];
    words.extend(flags.iter().filter(|(is, _)| *is).map(|(_, word)| (*word).to_owned()));
    words.join(" ")
}

/// The body of `process(event)`.
fn body(text: &str) -> String {
    said(&format!("function process(event) {text} end"))
}

#[test]
fn fields_that_are_named_are_found() {
    let bodies = [
        ("event.f = event.c * 9 / 5 + 32 return event", "f:W c:r event"),
        ("event['a b'] = 1; return event", "a b:W event"),
        ("event[ [[long]] ] = 1 return event", "long:W event"),
        ("event[\"\\x41\\65\\u{41}\\z\n  b\"] = 1 return event", "AAAb:W event"),
        ("if event.x > 3 then return event end", "x:r event"),
        ("if event.x then event.y = 1 end return event", "x:r y:w event"),
        ("if event.x then return end event.y = 1 return event", "x:r y:w event"),
        ("do event.y = 1 end return event", "y:w event"),
        ("goto out event.y = 1 ::out:: return event", "y:w event"),
        ("event.a, event.b = event.b, event.a return event", "a:rW b:rW event"),
        ("local a, b = event.a, event.b event.c = a + b return event", "a:r b:r c:W event"),
        ("local a = event.a, c event.d = 2 return event", "a:r d:W event"),
        ("return event.x > 5 and event", "x:r event"),
        ("return event.x and event or nil", "x:r event"),
        ("return {event, {a = event.a}}", "a:r event other"),
        ("return {a = event.a}", "a:r other"),
        ("if not event then return nil end return event", "event"),
        ("event.n = #event.list return event", "n:W list:r event"),
        ("event.up = event.name:upper() return event", "up:W name:r event"),
        ("event.lat = event.pos.lat return event", "lat:W pos:r event"),
        ("event.pos.lat = 1 return event", "pos:rw event"),
        // A second name of what a field holds, by which it could be changed.
        ("local p = event.pos p.lat = 1 return event", "pos:rw event"),
        ("local p = event.pos table.insert(p, 1) return event", "pos:rw event"),
        ("local p = event.pos local f = table.insert f(p, 1) return event", "pos:rw event"),
        ("local p = event.pos event.s = table.concat(p) return event", "pos:r s:W event"),
        ("(event.pos).lat = 1 return event", "pos:rw event"),
        ("({event.pos})[1].lat = 1 return event", "pos:rw event"),
        ("event.a = event.b event.a.x = 1 return event", "a:rW b:rw event"),
        ("local p = event.a.b.c p.d = 1 return event", "a:rw event"),
        ("local p = event.q or event.r; p[1] = 2 return event", "q:rw r:rw event"),
        ("local n = event.n + 1 t[1] = n return event", "n:r event"),
        // Another function, maybe later.
        ("local f = function() return event.x end event.y = f() return event", "x:r y:W event fresh"),
        ("s:gsub('%w', function(m) event.n = m end) return event", "n:w event fresh"),
        // Names that are no uses of the event.
        ("local t = { event = 1 } return event", "event"),
        ("local x = foo.event return event", "event"),
        ("foo:event() return event", "event"),
        ("do local event = {} event.z = 1 foo(event) end return event", "event"),
        ("for event = 1, 3 do foo(event) end return event", "event"),
        ("local function f(event) return event.q end return event", "event"),
        ("repeat local event = 1 until event == 1 return event", "event"),
        ("-- foo(event)\n--[==[ foo(event) ]] ]==] return event", "event"),
        ("local s = 'foo(event)' .. [[ event ]] return event", "event"),
        ("emit(event, 'alarm') emit(event) return nil", "event emits"),
        ("emit({a = event.a}, 'alarm')", "a:r emits"),
        ("local emit = foo emit(1) return event", "event"),
        ("event.x = 0x1p4 + 3 .. 2 + 1e+5 + .5 return event", "x:W event"),
        ("event.x = 5 // 2 >> 1 << 1 ~ 3 return event", "x:W event"),
    ];
    for (text, want) in bodies {
        assert_eq!(body(text), want, "{text}");
    }
}

#[test]
fn what_cannot_be_followed_means_the_whole_event() {
    let bodies = [
        "foo(event)",
        "foo{event}",
        "local e = event return e",
        "local e <const> = event return e",
        "e = event",
        "t.x = event",
        "t[event] = 1",
        "local x = t[event]",
        "event[name] = 1 return event",
        "return event[1]",
        "return event[('x')]",
        "return event['x' .. 'y']",
        "return event['\\255']",
        "for k, v in pairs(event) do end return event",
        "for k in next, event do end",
        "event = {} return event",
        "event, x = 1, 2",
        "function event() end",
        "function event.f() end",
        "function event:f() end",
        "event:f()",
        "event()",
        "event'x'",
        "(event).x = 1",
        "return (event).x",
        "return foo(event)",
        "return event, 1",
        "return (function() return event end)()",
        "local function f() return event end return f()",
        "local function f() event = nil end",
        "local t = {event} return t",
        "return {e = event}",
        "return {[1] = event}",
        "return {{event}}",
        "local e = x and event",
        "local e = event or x",
        "emit(1, event)",
        "emit{event}",
        "emit(function() emit(event) end)",
        "local e = emit; e(event)",
        "foo(not event, event)",
        "setmetatable(event, {})",
        "coroutine.wrap(f)(event)",
        "local a, b = 1, event",
        "x.y(event.z, event)",
        "_G.process = nil return event",
        "local _ENV = {} return event",
        "return _ENV.x",
        "event.x = = 1",
        "return event..",
    ];
    for text in bodies {
        assert_eq!(body(text), "whole 1", "{text}");
    }
    assert!(bodies.len() >= 40);
}

#[test]
fn process_must_be_the_function_that_was_read() {
    let texts = [
        ("function process(event) return event end\nfunction process(e) return e end", "whole 2"),
        ("process = function(event) event.a = 1 return event end", "a:W event"),
        ("\nif x then function process(event) end end", "whole 2"),
        ("process = make()", "whole 1"),
        ("local function f() function process(e) end end", "whole 1"),
        ("function process(event) end\nprocess = nil", "whole 2"),
        ("function process(event) end process, x = y, z", "whole 1"),
        ("function process(event) return event end\n_G['process'] = f", "whole 2"),
        ("function process(...) return ... end", "whole 1"),
        ("function process(e, e) return e.x end", "other"),
        ("function process() end", ""),
        ("function process(event) emit(event) end\nemit = f", "whole 1"),
        ("function process(event) emit(event) end\nload('x')()", "whole 1"),
        ("local emit = f\nfunction process(event) emit(event) end", "whole 2"),
        ("#!/usr/bin/lua\nfunction process(event) return event.x end", "x:r other"),
        ("function process(event) return event end\nfunction on_timer(event) foo(event) end", "event"),
        ("function process(event", "whole 1"),
        ("function process(event) --[[", "whole 1"),
        ("function process(event) return 'a\n' end", "whole 1"),
    ];
    for (text, want) in texts {
        assert_eq!(said(text), want, "{text}");
    }
}

#[test]
fn lists_of_events_are_followed() {
    let bodies = [
        ("for _, e in ipairs(events) do e.x = e.y end return events", "x:w y:r event"),
        ("for i = 1, #events do events[i].x = events[i].y end return events", "x:w y:r event"),
        (
            "local out = {} for _, e in ipairs(events) do out[#out + 1] = { a = e.a } end return out",
            "a:rw other",
        ),
        ("for _, e in ipairs(events) do out[1] = e end return events", "whole 1"),
        ("for _, e in pairs(events) do end return events", "whole 1"),
        ("local e = events[1] return events", "whole 1"),
        ("events[1] = nil return events", "whole 1"),
        ("local n = events.n return events", "whole 1"),
        ("f(function() return events[1].x end) return events", "whole 1"),
        ("local ipairs = f for _, e in ipairs(events) do e.x = 1 end return events", "whole 1"),
        ("for _, e in ipairs(events) do f(function() e.x = 1 end) end return events", "x:w event fresh"),
        ("for e, _ in ipairs(events) do f(e) end return events", "event"),
    ];
    for (text, want) in bodies {
        assert_eq!(said(&format!("function process_batch(events) {text} end")), want, "{text}");
    }
    let gives = |text: &str| Fields::of(&format!("function process_batch(events) {text} end")).returns_single;
    assert!(!gives("return events") && !gives("return nil") && !gives("return {events[1]}"));
    assert!(gives("return events[1]") && gives("for _, e in ipairs(events) do return e end"));
    let own = "function ipairs(t) end function process_batch(events) for _, e in ipairs(events) do end end";
    assert_eq!(said(own), "whole 1");
}

#[test]
fn ports_and_state_are_seen() {
    let found = Fields::of(
        "function on_timer(k, t) emit({}, 'late', t) emit({}, nil, t) emit({}, p()) state.set('a', 1) end",
    );
    assert_eq!((found.ports, found.computes_port, found.keeps), (vec!["late".to_owned()], true, true));
    assert!(!Fields::of("local state = {} state.x = 1").keeps);
    // Whoever is nested too deep for Lua is too deep here as well, and not for the stack.
    let deep = format!("function process(event) return {}1{} end", "(".repeat(100_000), ")".repeat(100_000));
    assert!(Fields::of(&deep).whole.is_some());
    let deep = format!("x = {}1", "-".repeat(100_000).replace("--", "- -"));
    assert!(Fields::of(&deep).whole.is_some());
}
