-- What pandoc's own writers lack: Quarto's callouts (a titled box, folded away in HTML on request),
-- and tables whose caption stays in place while a narrow screen scrolls them sideways.

local function is_callout(div)
  for _, class in ipairs(div.classes) do
    if class:match("^callout%-") then return class end
  end
end

local function escaped(text)
  return text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")
end

-- <figure> with the caption above and the table in a box that scrolls.
local function scrolling_table(div)
  local caption, blocks = nil, pandoc.List()
  for _, block in ipairs(div.content) do
    if block.t == "Table" then
      caption = block.caption.long
      block.caption = pandoc.Caption()
    end
    blocks:insert(block)
  end
  local classes = table.concat(div.classes, " ")
  local head = pandoc.List({pandoc.RawBlock("html",
    string.format('<figure id="%s" class="%s"><figcaption>', div.identifier, classes))})
  head:extend(caption or {})
  head:insert(pandoc.RawBlock("html", '</figcaption><div class="scroll" tabindex="0">'))
  head:extend(blocks)
  head:insert(pandoc.RawBlock("html", "</div></figure>"))
  return head
end

function Div(div)
  if FORMAT:match("html") and div.classes:includes("table-box") then
    return scrolling_table(div)
  end
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
