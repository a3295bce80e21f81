-- Topics in the manner of Sparkplug B, with payloads as JSON: takes the topic apart, and gives metrics their names where data
-- messages name them by the alias that a birth message has said.
--
--     lua: { script: ../plugins/sparkplug.lua, key: [topic_key], reads: [topic, metrics] }
--
-- `topic` is `spBv1.0/GROUP/TYPE/NODE[/DEVICE]`. One event a metric: `group`, `node`, `device`, `metric`, `value`, `time`. A
-- death gives one with `online: false`. The key must tell devices apart, whatever the type; aliases are kept for it.

local function parts(topic)
  local group, kind, node, device = topic:match("^spBv1%.0/([^/]+)/([^/]+)/([^/]+)/?([^/]*)$")
  if not group then error("'" .. topic .. "' is no topic of Sparkplug", 0) end
  return { group = group, kind = kind, node = node, device = device ~= "" and device or nil }
end

local function metric_event(where, fields)
  fields.group, fields.node, fields.device = where.group, where.node, where.device
  return fields
end

function process(event)
  local where = parts(event.topic)
  if where.kind:match("DEATH$") then
    return { metric_event(where, { online = false, time = event_time() }) }
  end
  local is_birth = where.kind:match("BIRTH$") ~= nil
  local aliases = not is_birth and state.get("aliases") or {}
  local events = {}
  for _, metric in ipairs(event.metrics or {}) do
    if is_birth and metric.name and metric.alias then
      aliases[tostring(metric.alias)] = metric.name
    end
    local name = metric.name or aliases[tostring(metric.alias)]
    if not name then error("alias " .. tostring(metric.alias) .. " was said by no birth", 0) end
    local time = metric.timestamp or event_time()
    events[#events + 1] = metric_event(where, { metric = name, value = metric.value, time = time, online = true })
  end
  if is_birth then state.set("aliases", aliases) end
  return events
end
