-- Means that the language does not have, and a function beside them.
--
--     plugins: ../plugins/means.lua
--     aggregate: { growth: geometric_mean(factor), pace: harmonic_mean(speed), level: weighted_mean(value, weight) }
--     set: { gain: decibel(output / input) }
--
-- Nulls are skipped; without values the result is null.

register.scalar("decibel", function(ratio)
  if ratio == nil then
    return nil
  end
  if ratio <= 0 then
    error("decibel: the ratio must be positive, not " .. ratio)
  end
  return 10.0 * math.log(ratio, 10)
end)

-- A mean of f(x), taken back by g.
local function mean(name, f, g)
  register.aggregate(name, {
    init = function()
      return { sum = 0.0, count = 0 }
    end,
    add = function(state, x)
      if x ~= nil then
        state.sum, state.count = state.sum + f(x), state.count + 1
      end
    end,
    merge = function(state, other)
      return { sum = state.sum + other.sum, count = state.count + other.count }
    end,
    result = function(state)
      if state.count > 0 then
        return g(state.sum / state.count)
      end
    end,
  })
end

mean("geometric_mean", function(x)
  if x <= 0 then
    error("geometric_mean takes positive numbers, not " .. x)
  end
  return math.log(x)
end, math.exp)

local function inverse(x)
  return 1.0 / x
end

mean("harmonic_mean", function(x)
  if x <= 0 then
    error("harmonic_mean takes positive numbers, not " .. x)
  end
  return inverse(x)
end, inverse)

register.aggregate("weighted_mean", {
  init = { sum = 0.0, weight = 0.0 },
  add = function(state, x, weight)
    if x ~= nil and weight ~= nil then
      state.sum, state.weight = state.sum + x * weight, state.weight + weight
    end
  end,
  merge = function(state, other)
    return { sum = state.sum + other.sum, weight = state.weight + other.weight }
  end,
  result = function(state)
    if state.weight > 0 then
      return state.sum / state.weight
    end
  end,
})
