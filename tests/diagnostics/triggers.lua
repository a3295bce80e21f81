-- For tests.
register.trigger("eager", { on_event = function() return "fire" end })
register.trigger("lazy", { on_event = function() end })
register.aggregate("latest", { add = function(_, x) return x end })
