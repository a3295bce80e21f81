-- For tests: names that no plugin can have, and things that cannot be registered.
register.scalar("abs", function(x) return x end)
register.aggregate("sum", { add = function(state, x) return state + x end })
register.scalar("case", function(x) return x end)
register.scalar("twice", function(x) return 2 * x end)
register.aggregate("twice", { add = function(state) return state end })
