//! What `table` offers beyond Lua's own: written in Lua, so that it is made of instructions.

use mlua::{Lua, Table};

const TABLES: &str = "
local table, type, pairs, sort, tostring = ...

-- Numbers before texts, each in their order: the same on every run, unlike `pairs`.
local function before(a, b)
  local x, y = type(a), type(b)
  if x ~= y then return x < y end
  if x == 'number' or x == 'string' then return a < b end
  return tostring(a) < tostring(b)
end

function table.keys(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  sort(keys, before)
  return keys
end

function table.values(t)
  local values = {}
  for i, k in pairs(table.keys(t)) do values[i] = t[k] end
  return values
end

function table.copy(t)
  if type(t) ~= 'table' then return t end
  local copy = {}
  for k, v in pairs(t) do copy[k] = table.copy(v) end
  return copy
end

function table.map(t, f)
  local mapped = {}
  for i = 1, #t do mapped[i] = f(t[i], i) end
  return mapped
end

function table.filter(t, f)
  local kept = {}
  for i = 1, #t do if f(t[i], i) then kept[#kept + 1] = t[i] end end
  return kept
end

function table.equal(a, b)
  if a == b then return true end
  if type(a) ~= 'table' or type(b) ~= 'table' then return false end
  for k, v in pairs(a) do if not table.equal(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end";

/// Adds the functions.
pub(super) fn install(lua: &Lua, globals: &Table) -> mlua::Result<()> {
    let table: Table = globals.raw_get("table")?;
    let sort: mlua::Function = table.raw_get("sort")?;
    let get = |name: &str| globals.raw_get::<mlua::Function>(name);
    let parts = (table, get("type")?, get("pairs")?, sort, get("tostring")?);
    lua.load(TABLES).set_name("=[sandbox]").call(parts)
}

#[cfg(test)]
mod tests {
    use crate::lua::{Budget, Machine, Script, Setup};

    #[test]
    fn tables_are_worked_with() {
        let text = "
            local t = { b = 2, a = 1, 7 }
            assert(table.concat(table.keys(t), ',') == '1,a,b' and table.concat(table.values(t), ',') == '7,1,2')
            local copy = table.copy { x = { 1, 2 } }
            assert(table.equal(copy, { x = { 1, 2 } }) and not table.equal(copy, { x = { 1 } }))
            assert(table.concat(table.map({ 1, 2 }, function(x) return x * 2 end), ',') == '2,4')
            assert(table.concat(table.filter({ 1, 2, 3 }, function(x) return x ~= 2 end), ',') == '1,3')
            local list = { { 2, 'a' }, { 1, 'b' }, { 2, 'c' }, { 1, 'd' }, { 0, 'e' } }
            table.sort(list, function(x, y) return x[1] < y[1] end)
            assert(table.concat(table.map(list, function(x) return x[2] end)) == 'ebdac')
            log.debug('a', 1) print('b')";
        let loaded = Machine::load(&Script::inline("test", text, None), Budget::default(), &Setup::default());
        assert_eq!(loaded.err(), None);
    }
}
