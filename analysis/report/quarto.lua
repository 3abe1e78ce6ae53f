-- Quarto's callouts for pandoc's own writers: a titled box, folded away in HTML on request.

local function is_callout(div)
  for _, class in ipairs(div.classes) do
    if class:match("^callout%-") then return class end
  end
end

local function escaped(text)
  return text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")
end

function Div(div)
  local class = is_callout(div)
  if not class then return nil end
  local title = div.attributes.title or ""
  local folded = div.attributes.collapse == "true"
  local blocks = pandoc.List()
  if FORMAT:match("html") then
    local tag = folded and "details" or "div"
    local head = folded and "summary" or 'p class="callout-title"'
    local foot = folded and "summary" or "p"
    blocks:insert(pandoc.RawBlock("html", string.format('<%s class="callout %s"><%s>%s</%s>',
      tag, class, head, escaped(title), foot)))
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("html", "</" .. tag .. ">"))
  elseif FORMAT:match("typst") and not folded then
    blocks:insert(pandoc.RawBlock("typst", "#callout["))
    blocks:insert(pandoc.Para({pandoc.Strong({pandoc.Str(title)})}))
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
  else
    blocks:insert(pandoc.Para({pandoc.Strong({pandoc.Str(title)})}))
    blocks:extend(div.content)
  end
  return blocks
end
