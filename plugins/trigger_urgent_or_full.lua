-- A trigger: a pane leaves at once when something urgent comes, else when it is full or nothing came for a while.
--
--     trigger: { lua: { script: ../plugins/trigger_urgent_or_full.lua, reads: severity } }
--
-- Event time says what a while is, so the same input gives the same panes.

local FULL <const> = 3
local QUIET <const> = 10000 -- milliseconds

local function begin(pane)
  pane.state, pane.timer = 0, nil
  return "fire"
end

register.trigger("urgent_or_full", {
  on_event = function(pane, event)
    pane.state = (pane.state or 0) + 1
    if event.severity == "critical" or pane.state >= FULL then
      return begin(pane)
    end
    pane.timer = math.max(pane.timer or 0, event.event_time + QUIET)
  end,

  on_event_time = function(pane)
    return begin(pane)
  end,

  on_merge = function(pane, other)
    pane.state = (pane.state or 0) + (other or 0)
    if pane.state >= FULL then
      return begin(pane)
    end
  end,
})
