-- A trigger: a pane leaves when the value has stayed within one unit for five events, and then the window is closed.
--
--     trigger: { lua: { script: ../plugins/trigger_steady.lua, reads: value } }

local ENOUGH <const> = 5
local BAND <const> = 1.0

register.trigger("steady", {
  on_event = function(pane, event)
    local value = event.value
    if type(value) ~= "number" then
      return "continue"
    end
    local state = pane.state or { low = value, high = value, seen = 0 }
    state.low, state.high = math.min(state.low, value), math.max(state.high, value)
    state.seen = state.seen + 1
    if state.high - state.low > BAND then
      state = { low = value, high = value, seen = 1 }
    end
    pane.state = state
    return state.seen >= ENOUGH and "fire_and_close" or "continue"
  end,

  -- Two stretches that were steady by themselves are not so together: the later events decide.
  on_merge = function(pane)
    pane.state = nil
  end,
})
