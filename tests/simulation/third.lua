-- Fires at each third event, and when nothing came for a while, in event time.
register.trigger("third", {
  on_event = function(pane, event)
    pane.state = (pane.state or 0) + 1
    if pane.state < 3 then
      pane.timer = event.event_time + 15
      return "continue"
    end
    pane.state, pane.timer = 0, nil
    return "fire"
  end,
  on_event_time = function(pane)
    pane.state, pane.timer = 0, nil
    return "fire"
  end,
  on_merge = function(pane, other)
    pane.state = (pane.state or 0) + (other or 0)
  end,
})
