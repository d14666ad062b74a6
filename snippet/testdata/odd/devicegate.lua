-- The action "devicegate" asks the gate about a request; its argument is the address to ask.
--   allow:   the identity headers are the gate's, and the variable txn.devicegate is "allow"
--   refusal: the gate's answer (401, 403, 503) is the client's
--   else:    the variable stays unset, on which haproxy.cfg has to deny
-- It fails closed: an error anywhere in here ends the action before it says "allow".

local limit = 500 -- milliseconds that the gate may take; HAProxy 2.6 tries four times

-- What the gate reads. The X-Forwarded-* are those that haproxy.cfg has set.
local asked = {
  "authorization", "origin", "access-control-request-method", "x-request-id",
  "x-forwarded-method", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-uri", "x-forwarded-for",
}
local identity = {"null", "1e3", "a--b", "no"}
local shown = {"x-auth-reason", "www-authenticate", "content-type", "cache-control", "retry-after"}
local refusals = {[401] = true, [403] = true, [503] = true}

-- HAProxy counts the values of a header from 0.
local function values(headers, name)
  local list, from = {}, headers[name]
  local i = 0
  while from and from[i] do
    list[#list + 1] = from[i]
    i = i + 1
  end
  return list
end

-- question returns the headers of the check. One that came twice goes along twice: the gate refuses it.
local function question(txn)
  local headers, out = txn.http:req_get_headers(), {}
  for _, name in ipairs(asked) do
    local list = values(headers, name)
    if #list > 0 then
      out[name] = list
    end
  end
  return out
end

-- identify makes the identity headers of the request the gate's, each one value or none.
local function identify(txn, headers)
  for _, name in ipairs(identity) do
    local list = values(headers, name)
    if #list > 1 then
      error("the gate sent " .. name .. " more than once")
    end
    txn.http:req_del_header(name)
    if list[1] then
      txn.http:req_set_header(name, list[1])
    end
  end
end

local function refuse(txn, answer)
  local reply = txn:reply({status = answer.status, body = answer.body})
  for _, name in ipairs(shown) do
    for _, value in ipairs(values(answer.headers, name)) do
      reply:add_header(name, value)
    end
  end
  txn:done(reply)
end

core.register_action("devicegate", {"http-req"}, function(txn, address)
  local answer = core.httpclient():get({url = address, headers = question(txn), timeout = limit})
  if answer.status == 200 then
    identify(txn, answer.headers)
    txn:set_var("txn.devicegate", "allow")
  elseif refusals[answer.status] and answer.headers["x-auth-reason"] then
    refuse(txn, answer)
  end
end, 1)
