-- Word's styles for the cells of tables: small type without space around it (reference.docx); pictures as PNG.
local small = pandoc.Attr("", {}, {["custom-style"] = "Table Text"})

local function style(rows)
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row.cells) do
      local words = pandoc.utils.blocks_to_inlines(cell.contents)
      if #words == 0 then words = {pandoc.Str("\u{200b}")} end -- an empty cell of the default style is a tall one
      cell.contents = {pandoc.Div({pandoc.Para(words)}, small)}
    end
  end
end

function Table(found)
  if not FORMAT:match("docx") then return nil end
  style(found.head.rows)
  for _, body in ipairs(found.bodies) do
    style(body.head)
    style(body.body)
  end
  return found
end

function Image(image)
  if not FORMAT:match("docx") then return nil end
  image.src = image.src:gsub("%.svg$", ".png")
  return image
end
