-- Alarms that somebody has to acknowledge, with the states of ISA 18.2: normal, unacknowledged, acknowledged, returned.
--
--     lua: { script: ../plugins/alarm_states.lua, key: [tag], args: { limit: 80, delay: 5000 } }
--
-- A reading (`value`) above `limit` for `delay` milliseconds of event time raises the alarm; below, it returns. `ack: true`
-- acknowledges it. An event leaves at each change: `tag`, `state`, `from`, `since`. A returned alarm that is acknowledged is
-- normal again; one that was acknowledged before it returned is so at once.

local LIMIT = tonumber(args.limit) or error("args: limit is missing")
local DELAY = math.floor(tonumber(args.delay) or 0)

local function change(tag, to, time)
  local from = state.get("state") or "normal"
  if from == to then return nil end
  state.set("state", to)
  return { tag = tag, state = to, from = from, since = time }
end

local function raise(tag, time)
  local now = state.get("state") or "normal"
  state.delete("above")
  if now == "normal" or now == "returned" then return change(tag, "unacknowledged", time) end
end

local function acknowledge(tag, time)
  local now = state.get("state")
  if now == "unacknowledged" then return change(tag, "acknowledged", time) end
  if now == "returned" then return change(tag, "normal", time) end
end

local function fall(tag, time)
  local now = state.get("state")
  state.delete("above")
  if now == "unacknowledged" then return change(tag, "returned", time) end
  if now == "acknowledged" then return change(tag, "normal", time) end
end

function process(event)
  local time = event_time()
  if event.ack then return acknowledge(event.tag, time) end
  if event.value == nil then return nil end
  if event.value <= LIMIT then return fall(event.tag, time) end
  if DELAY == 0 then return raise(event.tag, time) end
  if not state.get("above") then
    state.set("above", time)
    state.set("tag", event.tag)
    timer.at(time + DELAY)
  end
  return nil
end

-- An alarm whose value has fallen meanwhile is not meant any more, nor one that rose again later.
function on_timer(_, time)
  local above = state.get("above")
  if above and above + DELAY <= time then return raise(state.get("tag"), time) end
end
