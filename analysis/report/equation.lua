-- A wide equation scrolls by itself on a narrow screen, and can be reached with the keyboard.
function Para(para)
  if not FORMAT:match("html") or #para.content ~= 1 then return nil end
  local only = para.content[1]
  if only.t ~= "Math" or only.mathtype ~= "DisplayMath" then return nil end
  return pandoc.Div({para}, pandoc.Attr("", {"equation"},
    {{"tabindex", "0"}, {"role", "group"}, {"aria-label", "Equation"}}))
end
