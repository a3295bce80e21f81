-- Units: `convert(value, from, to)` in every expression, so 72 °F becomes 22.2 °C wherever it is needed.
--
--     plugins: ../plugins/units.lua
--     …
--     set: { celsius: "round(convert(temp, 'F', 'C'), 1)" }
--
-- Units of different kinds, or ones that are not known, reject the event. `unit_kind(unit)` is null for those.

-- Of each unit: its kind, the factor to that kind's base unit, and what is added after that.
local UNITS = {
  K = { "temperature", 1, 0 },
  C = { "temperature", 1, 273.15 },
  F = { "temperature", 5 / 9, 459.67 * 5 / 9 },
  Pa = { "pressure", 1, 0 },
  hPa = { "pressure", 100, 0 },
  kPa = { "pressure", 1000, 0 },
  bar = { "pressure", 100000, 0 },
  psi = { "pressure", 6894.757293168, 0 },
  m = { "length", 1, 0 },
  mm = { "length", 0.001, 0 },
  km = { "length", 1000, 0 },
  ["in"] = { "length", 0.0254, 0 },
  ft = { "length", 0.3048, 0 },
  mi = { "length", 1609.344, 0 },
  ["m/s"] = { "speed", 1, 0 },
  ["km/h"] = { "speed", 1 / 3.6, 0 },
  mph = { "speed", 0.44704, 0 },
  kn = { "speed", 1852 / 3600, 0 },
  J = { "energy", 1, 0 },
  Wh = { "energy", 3600, 0 },
  kWh = { "energy", 3600000, 0 },
  W = { "power", 1, 0 },
  kW = { "power", 1000, 0 },
  hp = { "power", 745.6998715823, 0 },
  l = { "volume", 0.001, 0 },
  m3 = { "volume", 1, 0 },
  gal = { "volume", 0.003785411784, 0 },
}

local function unit(name)
  local found = UNITS[name]
  if not found then error("there is no unit '" .. tostring(name) .. "'", 0) end
  return found
end

register.scalar("convert", function(value, from, to)
  if value == nil then return nil end
  local a, b = unit(from), unit(to)
  if a[1] ~= b[1] then error(from .. " is of " .. a[1] .. ", " .. to .. " of " .. b[1], 0) end
  return (value * a[2] + a[3] - b[3]) / b[2]
end)

register.scalar("unit_kind", function(name)
  local found = UNITS[name]
  return found and found[1]
end)
