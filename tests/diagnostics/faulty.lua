-- For tests.
register.trigger("eager", {
  on_event = function() return "fire" end,
})

register.trigger("mute", { on_evnt = function() end })
