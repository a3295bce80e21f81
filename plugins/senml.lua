-- SenML (RFC 8428): resolves packs, with their base fields and relative times, to one event a measurement.
--
--     lua: { script: ../plugins/senml.lua, reads: [payload] }
--
-- `payload` is the pack as JSON text. Each event has `name`, `time` (milliseconds), `unit`, and one of `value`, `text`,
-- `bool`, `data`; `sum` where there is one. A time below 2^28 seconds is relative to now: to the event's time.

local RELATIVE <const> = 1 << 28

local function resolve(pack, now)
  local base = { bn = "", bt = 0, bv = 0, bs = 0 }
  local measurements = {}
  for _, record in ipairs(pack) do
    for _, key in ipairs { "bn", "bt", "bu", "bv", "bs" } do
      if record[key] ~= nil then base[key] = record[key] end
    end
    local time = base.bt + (record.t or 0)
    if time < RELATIVE then time = now / 1000 + time end
    local has_value = record.v ~= nil or record.vs ~= nil or record.vb ~= nil or record.vd ~= nil or record.s ~= nil
    if has_value then
      measurements[#measurements + 1] = {
        name = base.bn .. (record.n or ""),
        time = math.floor(time * 1000 + 0.5),
        unit = record.u or base.bu,
        value = record.v and record.v + base.bv,
        sum = record.s and record.s + base.bs,
        text = record.vs,
        bool = record.vb,
        data = record.vd,
      }
    end
  end
  return measurements
end

function process(event)
  local pack = json.decode(event.payload)
  if type(pack) ~= "table" or (next(pack) ~= nil and pack[1] == nil) then error("a SenML pack is a list of records", 0) end
  return resolve(pack, event_time())
end
