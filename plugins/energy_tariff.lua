-- Energy by tariff: what each reading of a meter that counts up has cost, by the local hour.
--
--     lua: { script: ../plugins/energy_tariff.lua, key: [meter], args: { zone: Europe/Berlin, high: 0.32, low: 0.21 } }
--
-- Reads `kwh`, a count; writes `used` since the reading before, `tariff` and `cost`. High from 6 to 22 o'clock on working
-- days; `from` and `to` in `args` say otherwise. A count that falls is a meter that was replaced: from 0 again.

local ZONE = args.zone or "UTC"
local HIGH, LOW = tonumber(args.high) or error("args: high is missing"), tonumber(args.low) or error("args: low is missing")
local FROM, TO = tonumber(args.from) or 6, tonumber(args.to) or 22

local function tariff(at)
  local hour = time.date_part("hour", at, ZONE)
  local day = time.date_part("weekday", at, ZONE)
  if day <= 5 and hour >= FROM and hour < TO then return "high", HIGH end
  return "low", LOW
end

function process(event)
  local count, last = event.kwh, state.get("last")
  if count == nil then return nil end
  state.set("last", count)
  local used = 0.0
  if last then used = count >= last and count - last or count end
  local name, price = tariff(event_time())
  event.used, event.tariff, event.cost = used, name, used * price
  return event
end
