-- The median of the last values of each key: takes single outliers out of a signal, where a mean would smear them.
--
--     lua: { script: ../plugins/moving_median.lua, key: [sensor], args: { size: 5 } }
--
-- Reads `value` and writes `median`; `size` is 5 by default, and at most 1000. A null is passed on with the median as it was.

local SIZE = math.min(tonumber(args.size) or 5, 1000)

local function median(values)
  local sorted = table.copy(values)
  table.sort(sorted)
  local middle = #sorted // 2
  if #sorted % 2 == 1 then return sorted[middle + 1] end
  return (sorted[middle] + sorted[middle + 1]) / 2
end

function process(event)
  local values = state.get("values") or {}
  if event.value ~= nil then
    values[#values + 1] = event.value
    if #values > SIZE then table.remove(values, 1) end
    state.set("values", values)
  end
  event.median = #values > 0 and median(values) or nil
  return event
end
