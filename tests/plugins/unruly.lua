-- What goes wrong, on demand.

local function misbehave(how)
  if how == "loop" then
    while true do end
  elseif how == "bomb" then
    local t = {}
    while true do t[#t + 1] = ("x"):rep(1000000) .. #t end
  elseif how == "error" then
    error("asked to")
  elseif how == "print" then
    return print
  end
  return how
end

register.scalar("act", misbehave)

register.aggregate("actions", {
  init = function() return {} end,
  add = function(state, how)
    if how ~= "later" and how ~= "never" then
      misbehave(how)
    end
    state[#state + 1] = how == "print" and print or how
  end,
  merge = function(state, other)
    if #state + #other > 3 then
      error("too many")
    end
    for _, how in ipairs(other) do
      state[#state + 1] = how
    end
  end,
  result = function(state)
    for _, how in ipairs(state) do
      if how == "later" then
        while true do end
      end
    end
    table.sort(state)
    return table.concat(state, " ")
  end,
})

-- Without `merge`.
register.aggregate("latest", { add = function(_, x) return x end })

register.trigger("obedient", {
  on_event = function(pane, event)
    misbehave(event.how)
    pane.state = (pane.state or "") .. event.how
    if event.how == "close" then
      return "fire_and_close"
    elseif event.how == "shout" then
      return "FIRE"
    elseif event.how == "soon" then
      pane.after = 5000
    elseif event.how == "hang" then
      pane.timer = event.event_time + 10
    end
    return event.how == "fire" and "fire" or "continue"
  end,
  on_event_time = function() while true do end end,
  on_processing_time = function(pane)
    if pane.state:find("twice") then
      pane.after = 5000
    end
    return "fire"
  end,
})

-- Each place has a machine of its own: what one counts and spoils is not seen at another.
local calls = 0
register.scalar("calls", function()
  calls = calls + 1
  return calls
end)
register.scalar("spoil", function()
  string.upper = nil
  getmetatable("").__index = {}
  return 1
end)
register.scalar("shout", function(text) return (text):upper() end)
