-- Makes events in the format Generic of the lines that nginx.conf writes. Called by fluent-bit.yaml.

local categories = {
  ["PUT 201"] = "Push",
  ["GET 200"] = "Pull",
  ["HEAD 200"] = "Pull",
  ["DELETE 202"] = "Delete",
}

function image_event(tag, timestamp, line)
  local category = categories[(line.method or "") .. " " .. (line.status or "")]
  local repository, reference = (line.uri or ""):match("^/v2/(.+)/manifests/([^/]+)$")
  local seconds, fraction = (line.time or ""):match("^(%d+)(%.%d+)$")
  if not (category and repository and seconds) then
    return -1, timestamp, line
  end
  local event = {
    category = category,
    repository = repository,
    clientIP = line.client,
    clientIPSource = "Peer",
    eventTime = os.date("!%Y-%m-%dT%H:%M:%S", tonumber(seconds)) .. fraction .. "Z",
    actor = line.user,
    userAgent = line.agent,
    method = line.method,
    id = line.id,
  }
  if reference:find(":", 1, true) then
    event.digest = reference
  else
    event.tag = reference
    event.digest = line.digest
  end
  return 2, timestamp, event
end
